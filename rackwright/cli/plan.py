"""`rackwright plan`: what apply would change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Command, common_options, limit_option, only_option, pass_context
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.lifecycle.apply.plan import Plan


@click.command(cls=Command)
@click.option("--check", is_flag=True, help="Exit with 4 if something would change; for CI and to detect drift.")
@only_option
@limit_option
@common_options
@pass_context
def plan(context: Context, check: bool, only: tuple[str, ...], limit: tuple[str, ...]) -> int:
    """Show what apply would change.

    Lists the changes per host and role, with the differences in files, then the ports that would close and the
    engines that would restart. Changes nothing.
    """
    hosts_needed()
    from rackwright.lifecycle.session.session import open_session

    with open_session(context.fleet, limit=limit) as session:
        session.connect_ahead()
        from rackwright.lifecycle.apply.plan import plan as look

        planned = look(session, only=only)
    context.answer(plan_document(planned), *plan_view(planned))
    if planned.run.failed_hosts:
        return ExitCode.HOSTS_FAILED
    return ExitCode.CHANGES_PENDING if check and not planned.empty else ExitCode.DONE


def plan_document(planned: Plan) -> dict[str, Json]:
    from rackwright.report import document

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
        "outages": list(planned.retirement.outages),
        "doubts": list(planned.doubts),
        "overrides": list(planned.surveyed.overrides),
        "first_snapshots": [{"host": host, "repository": name} for host, name in planned.first_snapshots],
    }


def plan_view(planned: Plan) -> list[str]:
    from rackwright.report import plan_text
    from rackwright.report.words import separated

    parts = [plan_text(planned.run)]
    if planned.closing:
        listed = [f"  {host}: {socket}" for host, sockets in planned.closing.items() for socket in sockets]
        parts.append(["ports that would close, with the program that listens there:", *listed])
    if planned.restarts:
        listed = [f"  {restart.replica.address}: {restart.why}" for restart in planned.restarts]
        parts.append(["engines that would be drained and restarted:", *listed])
    if planned.deferred:
        listed = [f"  {waiting.replica.address}: {waiting.why}" for waiting in planned.deferred]
        parts.append(["engines that wait for GPUs:", *listed])
    if planned.retirement.replicas:
        parts.append(["replicas that the fleet file no longer places:", *_retiring(planned)])
    if planned.returns:
        listed = [f"  {replica.address}" for replica in planned.returns]
        parts.append(["drained by an earlier run; apply undrains those that answer:", *listed])
    if planned.drains:
        listed = [f"  {drain.gateway}: {drain.replica.address}: {drain.record.reason}" for drain in planned.drains]
        parts.append(["drained manually, but not yet at this gateway; apply drains them there:", *listed])
    if planned.doubts:
        parts.append(["it is unknown whether these fit:", *(f"  {doubt}" for doubt in planned.doubts)])
    if overrides := planned.surveyed.overrides:
        parts.append(["units that another file changes; apply leaves it:", *(f"  {one}" for one in overrides)])
    if planned.first_snapshots:
        listed = [f"  {host}: to {repository}" for host, repository in planned.first_snapshots]
        parts.append(["first snapshots, made at the end:", *listed])
    return separated(parts)


def _retiring(planned: Plan) -> Iterator[str]:
    for one in planned.retirement.kept:
        yield f"  {one.replica.address}: serves until another replica of {one.replica.model} answers"
    for one in planned.retirement.stopped_first:
        yield f"  {one.replica.address}: stops first: {one.stops_first}"
    for model in planned.retirement.outages:
        yield f"  no replica of {model} serves meanwhile: planned downtime"


def _totals(run: dict[str, Json]) -> dict[str, Json]:
    totals = run.get("totals")
    return dict(totals) if isinstance(totals, dict) else {}
