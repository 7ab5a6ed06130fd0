"""`rackwright restore`: bring hosts' state and weights back from their snapshots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.names import HOST
from rackwright.cli.common.options import Command, common_options, not_stale_option, pass_context, yes_option
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.restore.asked import Asked
    from rackwright.lifecycle.restore.fetch_kit import KitPlace

WHAT = ("state", "keys", "models")


@click.command(cls=Command)
@click.argument("hosts", metavar="[HOST|GROUP]...", nargs=-1, type=HOST)
@click.option("--all", "everything", is_flag=True, help="All hosts; then apply and verify.")
@click.option("--at", metavar="TIME|ID", help="The newest snapshot up to this time, or the one with this ID.")
@click.option(
    "--from",
    "source",
    metavar="REPOSITORY|URL",
    help="Only from this repository; with --all, also the URL of the kit.",
)
@click.option(
    "--what", metavar="PART,...", default=",".join(WHAT), show_default=True, help="Restore only these parts."
)
@click.option(
    "--into", metavar="FOLDER", type=click.Path(path_type=Path), help="With a URL: the new folder for the kit."
)
@click.option("--password", metavar="REFERENCE", help="With a URL: the kit's password; asked for if absent.")
@click.option("--user", metavar="NAME", help="With a rest: URL: the kit's user.")
@click.option("--login", metavar="REFERENCE", help="With a rest: URL: the user's password.")
@click.option(
    "--ca", metavar="FILE", type=click.Path(path_type=Path), help="With a rest: URL: a PEM file with its CA."
)
@click.option(
    "--serving", metavar="HOST", multiple=True, help="Restore this host although it serves; may be repeated."
)
@click.option("--accept-keys", is_flag=True, help="Accept merged API keys that this copy lacks, without asking.")
@click.option("--undo", is_flag=True, help="Revert the last restore of these hosts.")
@not_stale_option
@yes_option
@common_options
@pass_context
def restore(
    context: Context,
    hosts: tuple[str, ...],
    everything: bool,
    at: str | None,
    source: str | None,
    what: str,
    into: Path | None,
    password: str | None,
    user: str | None,
    login: str | None,
    ca: Path | None,
    serving: tuple[str, ...],
    accept_keys: bool,
    undo: bool,
    not_stale: bool,
    yes: bool,
) -> int:
    """Bring hosts' state and weights back from their snapshots.

    Shows the plan and asks. Restores files next to the present ones, validates them, and only then replaces
    anything. Logs are merged. A new machine gets the base system first. Run apply and verify afterwards; --all does
    that for you. --all --from URL first fetches the fleet's files from the kit.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.restore.asked import asked_for, is_url, refuse_mixed

    refuse_mixed(
        hosts,
        everything=everything,
        undo=undo,
        source=source,
        only_url={"--into": into, "--password": password, "--user": user, "--login": login, "--ca": ca},
        not_undo={"--at": at, "--from": source, "--accept-keys": accept_keys, "--not-stale": not_stale},
    )

    with Console(quiet=context.json, yes=yes) as console:
        if undo:
            _undo(context, hosts, serving, console)
            return ExitCode.DONE
        if source and into and is_url(source):
            from rackwright.cli.common.kit_place import kit_place

            place = kit_place(source, password=password, user=user, login=login, ca=ca)
            _use_kit(context, place, into, console)
            source = None
        asked = asked_for(
            context.fleet,
            at=at,
            repository=source,
            what=what,
            serving=serving,
            everything=everything,
            accept_keys=accept_keys,
        )
        if everything:
            return _everything(context, asked, console, not_stale=not_stale)
        return _hosts(context, hosts, asked, console)


def _undo(context: Context, hosts: tuple[str, ...], serving: tuple[str, ...], console: Console) -> None:
    from rackwright.lifecycle.restore.procedure import undo
    from rackwright.lifecycle.session.session import open_session

    with open_session(context.fleet, limit=hosts) as session:
        names = undo(session, console, serving)
    lines = (f"{host}: reverted {', '.join(some)}" for host, some in names.items())
    context.answer({"reverted": {host: [*some] for host, some in names.items()}}, *lines)


def _use_kit(context: Context, place: KitPlace, into: Path, console: Console) -> None:
    """Fetch the kit, ask, and go on with its fleet file. Raise FleetError if a secret is missing on this machine."""
    from rackwright.lifecycle.restore.fetch_kit import fetch_kit
    from rackwright.lifecycle.restore.use_kit import confirm_kit, refuse_missing_secrets, use_ca_key

    kit = fetch_kit(place, into, console)
    context.path = kit.fleet_file
    confirm_kit(kit, context.fleet, console)
    use_ca_key(kit, context.fleet, console)
    refuse_missing_secrets(kit, context.fleet)


def _hosts(context: Context, hosts: tuple[str, ...], asked: Asked, console: Console) -> int:
    from rackwright.cli.render.restore_plan import RestoreView, restored_documents
    from rackwright.lifecycle.restore.procedure import restore
    from rackwright.lifecycle.session.session import open_session

    view = RestoreView(quiet=context.json, fleet=context.fleet.file)
    with open_session(context.fleet, limit=hosts, progress=console.on_step) as session:
        restored = restore(session, asked, console, view.restore)
    lines = [line for one in restored for line in one.lines()]
    context.answer(
        {"restored": restored_documents(restored)}, *lines, "next: rackwright apply, then rackwright verify"
    )
    return ExitCode.DONE


def _everything(context: Context, asked: Asked, console: Console, *, not_stale: bool) -> int:
    from rackwright.cli.render.restore_plan import RestoreView, proof_documents, restored_documents
    from rackwright.lifecycle.restore.everything import restore_everything
    from rackwright.lifecycle.session.session import open_session

    done = restore_everything(
        lambda: open_session(context.fleet, progress=console.on_step),
        asked,
        console,
        RestoreView(quiet=context.json, fleet=context.fleet.file),
        not_stale=not_stale,
    )
    passed = len(done.proofs) - len(done.failed)
    document = {
        "restored": restored_documents(done.restored),
        "proofs": proof_documents(done.proofs),
        "passed": passed,
        "failed": len(done.failed),
    }
    lines = [line for one in done.restored for line in one.lines()]
    context.answer(document, *lines, f"{passed} of {len(done.proofs)} proofs passed")
    if done.failed:
        return ExitCode.NOT_PROVEN
    if done.unsaved:
        raise done.unsaved
    return ExitCode.DONE
