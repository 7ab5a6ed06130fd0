"""`rackwright patch plan`: what patching would change on each host."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, limit_option, pass_context
from rackwright.errors import ExitCode


@click.command(cls=Command)
@click.option(
    "--only", type=click.Choice(["security"]), help="Only packages from security suites, and what they need."
)
@click.option("--check", is_flag=True, help="Exit with 4 if something would change; for CI.")
@limit_option
@common_options
@pass_context
def plan(context: Context, only: str | None, check: bool, limit: tuple[str, ...]) -> int:
    """Show what patching would change on each host, and whether the driver builds for the coming kernel.

    Changes nothing. It asks apt in private package lists, and builds the coming driver in a private folder on one
    host for each set of packages. Exit code 12 unless that driver builds, 3 if a host has no answer.
    """
    hosts_needed()
    from rackwright.cli.render.patch_document import patch_document
    from rackwright.cli.render.patch_text import patch_text
    from rackwright.fleet.times.zone import zone_of
    from rackwright.lifecycle.patch.plan import patch_plan
    from rackwright.lifecycle.session.session import open_session

    with open_session(context.fleet, limit=limit) as session:
        planned = patch_plan(session, only_security=only == "security", say=context.note)
    context.answer(patch_document(planned), *patch_text(planned, zone_of(context.fleet)))
    for host, why in planned.failed.items():
        context.note(f"{host}: {why}")
    if planned.failed or planned.driver_problems:
        return ExitCode.HOSTS_FAILED
    if planned.unproven:
        return ExitCode.NOT_PROVEN
    return ExitCode.CHANGES_PENDING if check and not planned.empty else ExitCode.DONE
