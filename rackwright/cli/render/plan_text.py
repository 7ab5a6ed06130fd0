"""A plan as the operator reads it before an apply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rackwright.fleet.fleet_file import FleetFile
from rackwright.lifecycle.apply.effects import ModelRestart
from rackwright.lifecycle.apply.plan import Plan
from rackwright.report import plan_text, to_look_at
from rackwright.report.words import counted, separated
from rackwright.run import Outcome
from rackwright.terminal import Styled

_ALL = "every operation, with the differences in files: rackwright plan --diff"
_SEEN_BY_CLIENTS = {
    ("firewall",): "its packet filter changes: see who gets in",
    ("certificate", "gateway"): "the gateway starts, or reloads and finishes the requests in flight",
    ("vip",): "keepalived starts or reloads",
}
"""What clients notice if one of these roles changes a gateway."""


def plan_view(planned: Plan, fleet: FleetFile, *, diff: bool = False) -> list[str]:
    """Return what to look at first, then what changes by host and role, and at the end what clients notice.

    With `diff`, every operation is listed with the differences in files. `fleet`: the one that is planned.
    """
    listed = ([title, *(f"  {line}" for line in lines)] for title, found in _parts(planned) if (lines := [*found]))
    parts = [to_look_at(planned.run), *listed, plan_text(planned.run, diff=diff)]
    if not planned.empty:
        parts.append([Styled("what clients notice:", bold=True), *(f"  {line}" for line in _noticed(planned, fleet))])
    if planned.run.changes and not diff:
        parts.append([_ALL])
    return separated(part for part in parts if part)


def _parts(planned: Plan) -> Iterator[tuple[str, Iterable[str]]]:
    ports = (f"{host}: {socket}" for host, sockets in planned.closing.items() for socket in sockets)
    yield "ports that would close, with the program that listens there:", ports
    restarts = (f"{restart.replica.address}: {restart.why}" for restart in planned.restarts)
    yield "engines that would be drained and restarted:", restarts
    yield "etcd members of control hosts, one after the other:", map(str, planned.members)
    waiting = (f"{waiting.replica.address}: {waiting.why}" for waiting in planned.deferred)
    yield "engines that wait for GPUs:", waiting
    yield "replicas that the fleet file no longer places:", _retiring(planned)
    yield "names that clients could no longer ask for:", map(str, planned.dropped)
    returns = (replica.address for replica in planned.returns)
    yield "drained by an earlier run; apply undrains those that answer:", returns
    drains = (f"{drain.gateway}: {drain.replica.address}: {drain.record.reason}" for drain in planned.drains)
    yield "drained manually, but not yet at this gateway; apply drains them there:", drains
    yield "it is unknown whether these fit:", planned.doubts
    yield "units that another file changes; apply leaves it:", planned.surveyed.overrides
    snapshots = (f"{host}: to {repository}" for host, repository in planned.first_snapshots)
    yield "first snapshots, made at the end:", snapshots


def _retiring(planned: Plan) -> Iterator[str]:
    for one in planned.retirement.kept:
        yield f"{one.replica.address}: serves until another replica of {one.replica.model} answers"
    for one in planned.retirement.stopped_first:
        yield f"{one.replica.address}: stops first: {one.stops_first}"


def _noticed(planned: Plan, fleet: FleetFile) -> list[str]:
    found = [
        *(f"no replica of {model} serves while it moves: planned downtime" for model in planned.retirement.outages),
        *(_restarts(restart, planned.pace) for restart in planned.model_restarts),
        *_reloads(planned),
        *(_leaving(fleet) if _changed(planned, ("gateway",)) else ()),
    ]
    return found or ["nothing"]


def _restarts(restart: ModelRestart, pace: str) -> str:
    if not restart.others_serve:
        return f"{restart.model}: the only replica that serves restarts: downtime, which needs --allow-outage"
    many = f", {pace}," if restart.engines > 1 else ""
    engines = counted(restart.engines, "engine")
    return f"{restart.model}: {engines} restart{'' if restart.engines > 1 else 's'}{many} while others serve"


def _reloads(planned: Plan) -> Iterator[str]:
    for roles, what in _SEEN_BY_CLIENTS.items():
        if hosts := _changed(planned, roles):
            yield f"{', '.join(hosts)}: {what}"


def _changed(planned: Plan, roles: tuple[str, ...]) -> Iterable[str]:
    """Return the gateways that these roles would change."""
    return dict.fromkeys(
        step.host
        for step in planned.run.steps
        if step.role in roles and step.outcome is Outcome.WOULD_CHANGE and step.host in planned.gateways
    )


def to_clouds(fleet: FleetFile) -> dict[str, list[str]]:
    """Return the names whose requests the gateways pass to each cloud: those who approve a change must see that."""
    routed = fleet.routed.values()
    return {
        cloud: sorted(name for model in routed if model.cloud == cloud for name in model.served)
        for cloud in fleet.clouds
    }


def _leaving(fleet: FleetFile) -> Iterator[str]:
    for cloud, names in to_clouds(fleet).items():
        asked = f"requests for {', '.join(names)} go" if names else "no request goes"
        yield f"{asked} to the cloud {cloud}"
