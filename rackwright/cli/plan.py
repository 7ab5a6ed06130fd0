"""`rackwright plan`: what apply would change."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Command, common_options, limit_option, only_option, pass_context
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.fleet.fleet_file import FleetFile
    from rackwright.lifecycle.apply.plan import Plan


@click.command(cls=Command)
@click.option("--check", is_flag=True, help="Exit with 4 if something would change; for CI and to detect drift.")
@click.option("--diff", is_flag=True, help="List every operation of every host, with the differences in files.")
@only_option
@limit_option
@common_options
@pass_context
def plan(context: Context, check: bool, diff: bool, only: tuple[str, ...], limit: tuple[str, ...]) -> int:
    """Show what apply would change.

    Lists first what changes who gets in, what would restart or be removed, then the changes by host and role, and
    what clients notice. Changes nothing.
    """
    hosts_needed()
    from rackwright.cli.render.plan_text import plan_view
    from rackwright.lifecycle.session.session import open_session

    with open_session(context.fleet, limit=limit) as session:
        session.connect_ahead()
        from rackwright.lifecycle.apply.plan import plan as look

        planned = look(session, only=only)
    context.answer(plan_document(planned, context.fleet.file), *plan_view(planned, context.fleet.file, diff=diff))
    if planned.run.failed_hosts:
        return ExitCode.HOSTS_FAILED
    return ExitCode.CHANGES_PENDING if check and not planned.empty else ExitCode.DONE


def plan_document(planned: Plan, fleet: FleetFile) -> dict[str, Json]:
    from rackwright.cli.render.plan_text import to_clouds
    from rackwright.report import document
    from rackwright.state.formats import stamp

    closing = {host: [str(socket) for socket in sockets] for host, sockets in planned.closing.items()}
    restarts = [{"replica": restart.replica.address, "why": restart.why} for restart in planned.restarts]
    run = document(planned.run)
    returns = [replica.address for replica in planned.returns]
    drains = [{"gateway": drain.gateway, "replica": drain.replica.address} for drain in planned.drains]
    return {
        **run,
        **_totals(run),
        "closing": closing,
        "restarts": restarts,
        "returns": returns,
        "drains": drains,
        "deferred": [{"replica": waiting.replica.address, "why": waiting.why} for waiting in planned.deferred],
        "retiring": [
            {"replica": one.replica.address, "stops_first": one.stops_first} for one in planned.retirement.replicas
        ],
        "model_restarts": [asdict(restart) for restart in planned.model_restarts],
        "outages": list(planned.retirement.outages),
        "dropped_names": [
            {"name": one.name, "users": {key: stamp(when) for key, when in one.users.items()}, "unknown": one.unknown}
            for one in planned.dropped
        ],
        "doubts": list(planned.doubts),
        "overrides": list(planned.surveyed.overrides),
        "members": [asdict(due) for due in planned.members],
        "to_clouds": to_clouds(fleet),
        "first_snapshots": [{"host": host, "repository": name} for host, name in planned.first_snapshots],
    }


def _totals(run: dict[str, Json]) -> dict[str, Json]:
    totals = run.get("totals")
    return dict(totals) if isinstance(totals, dict) else {}
