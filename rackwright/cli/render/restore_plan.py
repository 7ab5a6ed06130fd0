"""A restore as the operator sees it: its plan, proofs, and the JSON of its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from rackwright.cli.common.context import Json
from rackwright.fleet.fleet_file import FleetFile
from rackwright.lifecycle.apply.plan import Plan
from rackwright.lifecycle.restore.in_place import Restored
from rackwright.lifecycle.restore.items import NOT_RESTORED
from rackwright.lifecycle.restore.key_copies import lines as keys_lines
from rackwright.lifecycle.restore.plan import HostPlan, RestorePlan
from rackwright.lifecycle.verify.procedure import Proof
from rackwright.report.words import size
from rackwright.roles.backup.state import age
from rackwright.state.formats import stamp, utc_now
from rackwright.terminal import Styled, echo


def plan_lines(planned: RestorePlan) -> Iterator[str]:
    """Yield the lines that say what a restore would do."""
    for plan in planned.hosts:
        yield from _of_host(plan)
    yield from (f"{host}: starts without its old state: {why}" for host, why in planned.without.items())
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


@dataclass(frozen=True)
class RestoreView:
    """Prints plans and proofs, unless the command prints JSON."""

    quiet: bool
    fleet: FleetFile

    def restore(self, planned: RestorePlan) -> None:
        self._echo(plan_lines(planned))

    def apply(self, planned: Plan) -> None:
        from rackwright.cli.render.plan_text import plan_view

        self._echo(plan_view(planned, self.fleet))

    def proof(self, proof: Proof) -> None:
        self._echo([f"{'ok  ' if proof.passed else 'FAIL'} {proof.host:<12} {proof.what}: {proof.found}"])

    def _echo(self, lines: Iterable[str | Styled]) -> None:
        if not self.quiet:
            echo(*lines)


def restored_documents(restored: Iterable[Restored]) -> list[Json]:
    return [
        {
            "host": one.host,
            "repository": one.repository,
            "snapshot": one.snapshot,
            "state": [*one.parts],
            "models": [*one.models],
            "closed_rollout": one.closed,
        }
        for one in restored
    ]


def proof_documents(proofs: Iterable[Proof]) -> list[Json]:
    return [asdict(proof) for proof in proofs]
