"""How far a cutover is, and what it would do next, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from rackwright.cli.common.context import Json
from rackwright.cli.render.table import table
from rackwright.gateway.cutover_states import GatewayCutover
from rackwright.lifecycle.migrate.cutover.ready import Preview
from rackwright.lifecycle.migrate.cutover.standing import Cutting
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.plan.plan import Plan
from rackwright.report.words import counted
from rackwright.state.formats import stamp
from rackwright.values.text import enumerated


def preview_lines(found: Preview, name: str, *, executed: bool) -> Iterator[str]:
    """Yield the share at each gateway, the steps that are left with what is in their way, and the next command."""
    yield share_line(found.cutting.state)
    yield from gateway_lines(found.gateways)
    yield from _fallback(found, name)
    if found.cutting.state.whole:
        yield f"next: rackwright migrate ledger; and to go back, rackwright migrate rollback {name}"
        return
    if found.steps:
        yield ""
        yield "to come: " + ", ".join(f"{step.share:g} %" for step in found.steps)
    for problem in found.problems:
        yield from problem.lines()
    for step in found.steps:
        for problem in step.problems:
            yield from problem.lines()
    if not executed and not found.problems and found.steps and not found.steps[0].problems:
        begin = "" if found.first is None else f" --from {found.first:g}"
        yield f"next: rackwright migrate cutover {name} --execute{begin}"


def gateway_lines(gateways: Mapping[str, GatewayCutover]) -> Iterator[str]:
    yield from table(
        [("gateway", "share", "new conversations", "to the fleet", "changed by", "at"), *_rows(gateways)]
    )


def preview_document(found: Preview) -> dict[str, Json]:
    """Return all of it as JSON."""
    return {
        "state": found.cutting.state.model_dump(mode="json"),
        "paused_by": found.cutting.paused.who if found.cutting.paused else None,
        "gateways": {host: _gateway(one) for host, one in found.gateways.items()},
        "steps": [
            {"share": step.share, "problems": [asdict(problem) for problem in step.problems]} for step in found.steps
        ],
        "problems": [asdict(problem) for problem in found.problems],
        "fallback": found.fallback.model_dump(mode="json") if found.fallback else None,
    }


def _fallback(found: Preview, name: str) -> Iterator[str]:
    """Yield what the plan allows the cloud to answer in the fleet's place, and what gateways do if they differ."""
    if cap := found.fallback:
        yield (
            f"fallback to the cloud: at most {cap.per_hour:,} requests an hour, for {enumerated(cap.models)}: "
            f"{cap.cost_per_hour:g} {cap.currency}, at {cap.each:.4g} for a request (95th percentile of "
            f"{counted(cap.requests, 'recorded request')})"
        )
    if found.fallback_differs:
        for host, one in found.gateways.items():
            if one.shares:
                yield f"{host} allows {one.fallback:,} an hour now" if one.fallback else f"{host} allows none now"
        yield f"next, to change only that: rackwright migrate cutover {name} --execute --fallback-only"


def cutting_rows(found: Cutting, plan: Plan | None) -> Iterator[tuple[str, str]]:
    """Yield how far a cutover is, by the log; nothing if it never began."""
    state = found.state
    if found.entry is None:
        return
    yield "cutover", share_line(state)
    yield "since", stamp(found.since) if found.since else "-"
    if state.why and state.phase == "passed":
        yield "why", state.why
    yield "passed", _shares(state.passed)
    if plan:
        yield "to come", _shares(found.to_come(plan))
    yield "way back", "was tried in this migration" if state.tried_back else "was not tried in this migration"
    yield from (("not reached", f"{host}: {why}") for host, why in state.missed.items())
    if found.paused:
        yield "paused", f"by {found.paused.who}, {stamp(found.paused.time)}: {found.paused.what}"


def cutting_document(found: Cutting, plan: Plan | None) -> Json:
    """Return the same as JSON; None if it never began."""
    if found.entry is None:
        return None
    paused = found.paused
    return {
        **found.state.model_dump(mode="json", exclude={"format"}),
        "at": stamp(found.since) if found.since else None,
        "to_come": list(found.to_come(plan)) if plan else None,
        "paused": {"who": paused.who, "time": stamp(paused.time), "why": paused.what} if paused else None,
    }


def _shares(shares: Sequence[float]) -> str:
    return ", ".join(f"{share:g} %" for share in shares) or "none"


def share_line(state: CutoverState) -> str:
    """Return in words what the fleet gets now."""
    said = {
        "going": f"the share is on its way to {state.share:g} %",
        "reached": f"the fleet gets {state.share:g} % of new conversations",
        "passed": f"the fleet gets {state.share:g} % of new conversations, and its gate has passed",
        "failed": f"{_again(state)}: {state.why}",
        "open": f"the fleet gets {state.share:g} % of new conversations, without a clear verdict: {state.why}",
        "back": "the cloud answers all requests",
    }
    return said[state.phase]


def _again(state: CutoverState) -> str:
    if not state.share:
        return "the cloud answers all requests again"
    return f"the fleet gets {state.share:g} % of new conversations again"


def _rows(gateways: Mapping[str, GatewayCutover]) -> Iterator[tuple[str, ...]]:
    from datetime import UTC, datetime

    for host, one in gateways.items():
        dealt = one.dealt.get(one.change)
        when = datetime.fromtimestamp(one.record.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if one.record else "-"
        share = "panic file" if one.panic else f"{one.percent:g} %"
        got = f"{dealt.fleet:,} ({dealt.fleet / dealt.total:.1%})" if dealt and dealt.total else "-"
        yield host, share, f"{dealt.total:,}" if dealt else "-", got, one.record.who if one.record else "-", when


def _gateway(one: GatewayCutover) -> dict[str, Json]:
    dealt = one.dealt.get(one.change)
    return {
        "share": one.percent,
        "change": one.change,
        "panic": one.panic,
        "fallback_per_hour": one.fallback,
        "record": one.record.model_dump(mode="json") if one.record else None,
        "new_conversations": {"fleet": dealt.fleet, "cloud": dealt.cloud} if dealt else None,
    }
