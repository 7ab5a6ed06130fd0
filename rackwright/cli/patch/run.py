"""`rackwright patch run`: patch hosts, one after another or up to the budget."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import (
    Command,
    allow_outage_option,
    common_options,
    limit_option,
    not_stale_option,
    pass_context,
    refuse_with_unattended,
    unattended_option,
    yes_option,
)


@click.command(cls=Command)
@click.option(
    "--only", type=click.Choice(["security"]), help="Only packages from security suites, and what they need."
)
@click.option("--reboot/--no-reboot", default=True, help="Reboot hosts whose packages need it (default).")
@click.option("--canary", metavar="HOST", help="The host that goes first.")
@allow_outage_option
@not_stale_option
@yes_option
@unattended_option
@limit_option
@common_options
@pass_context
def run(
    context: Context,
    only: str | None,
    reboot: bool,
    canary: str | None,
    allow_outage: bool,
    not_stale: bool,
    yes: bool,
    unattended: bool,
    limit: tuple[str, ...],
) -> None:
    """Patch hosts under traffic, each with a way back.

    Each host must pass its gates. It is drained, gets its packages, reboots if they need it, and is proven and
    undrained. The first host goes alone; then up to `patch.max_unavailable` at a time. A host that isn't proven gets
    back the packages and the kernel that it had before, and the run ends. A host that needs nothing isn't touched.
    """
    refuse_with_unattended(unattended=unattended, yes=yes, allow_outage=allow_outage, not_stale=not_stale)
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.cli.render.patch_text import patch_text
    from rackwright.cli.render.undelivered_document import undelivered_documents
    from rackwright.fleet.naming import hosts_named
    from rackwright.fleet.times.zone import zone_of
    from rackwright.lifecycle.notify.notified import notified
    from rackwright.lifecycle.patch.asked import Asked
    from rackwright.lifecycle.patch.plan import Plan
    from rackwright.lifecycle.patch.run import patch_run
    from rackwright.lifecycle.session.agreements import Agreements
    from rackwright.lifecycle.session.session import open_session

    def show(planned: Plan) -> None:
        if not context.json:
            for line in patch_text(planned, zone_of(context.fleet)):
                context.note(line)

    hosts = hosts_named(context.fleet, limit) if limit else ()
    asked = Asked(
        only_security=only == "security",
        reboot=reboot,
        canary=canary,
        hosts=hosts,
        allow_outage=allow_outage,
        not_stale=not_stale,
        yes=yes,
    )
    with (
        Console(quiet=context.json, yes=yes or unattended) as console,
        notified(context.fleet, "patch run", console, agreed=yes or unattended) as notices,
        open_session(context.fleet, progress=console.on_step) as session,
    ):
        agreements = Agreements(context.fleet) if unattended else None
        done = patch_run(session, asked, console, show, notices.started, agreements)
        said = f"patched: {', '.join(done.hosts)}" if done.hosts else "nothing to patch"
        notices.ends(said, done.hosts)
        unpublished = agreements.unpublished if agreements else None
        if unpublished:
            notices.fails(unpublished.problems)
    context.answer({"patched": list(done.hosts), "not_notified": undelivered_documents(notices.undelivered)}, said)
    if unpublished:
        raise unpublished
