"""`rackwright assess`: whether hosts are ready, before anything is bought or installed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.html_page import html_option, write_page
from rackwright.cli.common.options import Command, common_options, limit_option, pass_context
from rackwright.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rackwright.fleet.lock import Lock
    from rackwright.lifecycle.assess import Assessed, Assessment


@click.command(cls=Command)
@click.option(
    "--host",
    "strangers",
    metavar="USER@ADDRESS",
    multiple=True,
    help="A host that is in no fleet file, with its key in ~/.ssh/known_hosts; may be repeated.",
)
@html_option("the result")
@limit_option
@common_options
@pass_context
def assess(context: Context, strangers: tuple[str, ...], html: Path | None, limit: tuple[str, ...]) -> int:
    """Show what hosts have and lack, before anything is installed.

    Needs SSH and sudo, but no lock; changes nothing. Exit code 12 if a host has a blocker; if none has, 3 if a host
    couldn't be asked.
    """
    if strangers and limit:
        raise UsageError(
            "--limit chooses hosts in the fleet file, --host names hosts outside it", should="give one of them"
        )
    hosts_needed()
    found = _strangers(strangers) if strangers else _fleet(context, limit)
    if html:
        from rackwright.cli.render.assess_html import as_html
        from rackwright.state.formats import utc_now

        write_page(context, html, as_html(found, utc_now()))
    from rackwright.cli.render.assess_text import as_text

    context.answer(_document(found), *as_text(found))
    return _exit_code(found)


def _fleet(context: Context, limit: tuple[str, ...]) -> Assessment:
    from rackwright.fleet.naming import hosts_named
    from rackwright.fleet.targets import targets
    from rackwright.lifecycle.assess import assess as ask
    from rackwright.lifecycle.assess import expected_of
    from rackwright.remote import Remote

    names = hosts_named(context.fleet, limit)
    lock = _lock(context)
    with Remote(targets(context.fleet, names)) as remote:
        return ask(remote, {name: expected_of(context.fleet, name, lock) for name in names})


def _lock(context: Context) -> Lock | None:
    """Return the lock, for the models' shapes, or None. One of another version of the fleet file is good enough."""
    from rackwright.fleet.lock_file import read_lock

    path = context.fleet.sibling("lock")
    return read_lock(path) if path.exists() else None


def _strangers(written: tuple[str, ...]) -> Assessment:
    from rackwright.lifecycle.assess import assess as ask
    from rackwright.lifecycle.assess import expected_of_stranger, stranger
    from rackwright.remote import Remote

    targets = {target.name: target for target in map(stranger, written)}
    several = len(targets) > 1
    with Remote(targets.values()) as remote:
        expected = {name: expected_of_stranger(target, one_of_several=several) for name, target in targets.items()}
        return ask(remote, expected)


def _document(found: Assessment) -> dict[str, Json]:
    from rackwright.lifecycle.assess import Verdict

    return {
        "hosts": [_host(host) for host in found.hosts],
        "not_ready": len(found.with_verdict(Verdict.NOT_READY)),
        "unreachable": len(found.with_verdict(Verdict.UNREACHABLE)),
    }


def _host(host: Assessed) -> dict[str, Json]:
    from rackwright.lifecycle.assess.assessment import GROUPS

    facts: dict[str, Json] = {
        group: [{"name": fact.name, "value": fact.value} for fact in host.facts_of(group)] for group in GROUPS
    }
    return {
        "host": host.host,
        "address": host.address,
        "verdict": host.verdict.value,
        "figures": asdict(host.figures) if host.figures else None,
        "facts": facts,
        "missing": [asdict(missing) for missing in host.missing],
        "models": [asdict(model) for model in host.models],
        "well_known": [asdict(served) for served in host.known],
        "unreachable": host.unreachable,
    }


def _exit_code(found: Assessment) -> int:
    from rackwright.lifecycle.assess import Verdict

    if found.with_verdict(Verdict.NOT_READY):
        return ExitCode.NOT_PROVEN
    return ExitCode.HOSTS_FAILED if found.with_verdict(Verdict.UNREACHABLE) else ExitCode.DONE
