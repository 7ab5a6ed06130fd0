"""`rackwright apply`: make the hosts match the fleet file and the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.commit import remind_to_commit
from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import (
    Command,
    allow_outage_option,
    common_options,
    limit_option,
    not_stale_option,
    only_option,
    pass_context,
    refuse_with_unattended,
    unattended_option,
    yes_option,
)
from rackwright.cli.render.p2p import transferred_documents
from rackwright.errors import ExitCode
from rackwright.terminal import echo

if TYPE_CHECKING:
    from rackwright.lifecycle.apply.plan import Plan
    from rackwright.lifecycle.apply.stages import Applied


@click.command(cls=Command)
@only_option
@click.option("--close-ports", is_flag=True, help="Close ports that something listens on, without asking.")
@allow_outage_option
@click.option("--reboot", is_flag=True, help="Drain and reboot hosts whose new driver needs a reboot.")
@click.option("--drop-names", is_flag=True, help="Drop names of models that clients used lately, without asking.")
@not_stale_option
@yes_option
@unattended_option
@limit_option
@common_options
@pass_context
def apply(
    context: Context,
    only: tuple[str, ...],
    close_ports: bool,
    allow_outage: bool,
    reboot: bool,
    drop_names: bool,
    not_stale: bool,
    yes: bool,
    unattended: bool,
    limit: tuple[str, ...],
) -> int:
    """Make the hosts match the fleet file and the lock.

    Shows the plan and asks. A second apply changes nothing. Engines that must restart are drained, restarted and
    proven with real answers, up to `rollout.max_unavailable` at a time. Ctrl-C stops after the running operation.
    """
    refuse_with_unattended(
        unattended=unattended,
        yes=yes,
        close_ports=close_ports,
        allow_outage=allow_outage,
        drop_names=drop_names,
        not_stale=not_stale,
    )
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.cli.render.plan_text import plan_view
    from rackwright.lifecycle.session.session import open_session

    def show(planned: Plan) -> None:
        if not context.json:
            echo(*plan_view(planned, context.fleet.file))

    with (
        Console(quiet=context.json, yes=yes or unattended) as console,
        open_session(context.fleet, limit=limit, progress=console.on_step) as session,
    ):
        session.connect_ahead(*session.fleet.control)
        from rackwright.lifecycle.apply.procedure import apply as carry_out
        from rackwright.lifecycle.apply.stages import Options
        from rackwright.lifecycle.session.agreements import Agreements
        from rackwright.lifecycle.session.control_host import unmoved

        agreements = Agreements(context.fleet) if unattended else None
        options = Options(only, close_ports, allow_outage, drop_names, reboot, not_stale, agreements)
        applied = carry_out(session, options, console, show)
    _answer(context, applied)
    if applied.run.totals().changed:
        remind_to_commit(context)
    if found := unmoved(context.fleet):
        context.note(found)
    if error := applied.failure or applied.unsaved:
        raise error
    if applied.run.interrupted:
        return ExitCode.FAILED
    return ExitCode.HOSTS_FAILED if applied.run.failed_hosts else ExitCode.DONE


def _answer(context: Context, applied: Applied) -> None:
    from rackwright.report import apply_text, document

    restarted = [replica.address for replica in applied.restarted]
    answer = document(applied.run)
    totals = answer["totals"]
    document_ = {
        **answer,
        **(totals if isinstance(totals, dict) else {}),
        "restarted": restarted,
        "transferred": transferred_documents(applied.transferred),
    }
    lines = apply_text(applied.run)
    context.answer(document_, *lines, *([f"restarted: {', '.join(restarted)}"] if restarted else ()))
