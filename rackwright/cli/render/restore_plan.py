"""The plan of a restore as text."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.lifecycle.restore.items import NOT_RESTORED
from rackwright.lifecycle.restore.key_copies import lines as keys_lines
from rackwright.lifecycle.restore.plan import HostPlan, RestorePlan
from rackwright.report.words import size
from rackwright.roles.backup.state import age
from rackwright.state.formats import stamp, utc_now


def plan_lines(planned: RestorePlan) -> Iterator[str]:
    """Yield the lines that say what a restore would do."""
    for plan in planned.hosts:
        yield from _of_host(plan)
    if planned.keys:
        yield from keys_lines(planned.keys)


def _of_host(plan: HostPlan) -> Iterator[str]:
    chosen = plan.chosen
    old = age(int((utc_now() - chosen.snapshot.time).total_seconds()))
    made = stamp(chosen.snapshot.time)
    yield f"{plan.host}: {chosen.snapshot.id[:8]} of {made}, {old} old, at {chosen.reader.name}"
    yield from (f"  not taken: {why}" for why in chosen.passed_over)
    yield from (f"  note: {why}" for why in (*chosen.newer, *chosen.doubts))
    if plan.new_machine:
        yield "  this is a new machine: the base system is installed first"
    for part in plan.parts:
        yield f"  {part.item.what}: {part}"
    for one in plan.weights:
        yield f"  weights of {one.model.name}: {size(one.model.size)}, missing here"
    if plan.parts:
        yield f"  not restored: {', '.join(f'{name} ({why})' for name, why in NOT_RESTORED.items())}"
    if plan.serving:
        yield f"  serves now: {', '.join(plan.serving)}"
