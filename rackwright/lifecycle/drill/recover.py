"""Recover the fleet on scratch hosts, as an operator would after a disaster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from rackwright.errors import HostError, HostsFailed, ProofError, RackwrightError
from rackwright.fleet.backup_access import kit_repositories, reached_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.backup import KIT
from rackwright.lifecycle.apply.plan import Plan
from rackwright.lifecycle.backup.at import NEWEST, At
from rackwright.lifecycle.drill.drill_fleet import Place, write_drill_fleet
from rackwright.lifecycle.drill.evidence.conclusion import CA_KEY_SAVED
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.record import Record
from rackwright.lifecycle.restore.asked import Asked
from rackwright.lifecycle.restore.everything import Everything, View, restore_everything
from rackwright.lifecycle.restore.fetch_kit import FetchedKit, KitPlace, fetch_kit
from rackwright.lifecycle.restore.plan import HostPlan, RestorePlan
from rackwright.lifecycle.restore.procedure import restore
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.verify.procedure import Proof

Open = Callable[[Fleet], AbstractContextManager[Session]]
"""Opens a session with the drill's fleet."""
_ATTEMPTS = 5
"""Snapshots that are tried when newer ones aren't good."""


@dataclass(frozen=True)
class Recovered:
    """A fleet that was recovered on scratch hosts."""

    fleet: Fleet
    done: Everything
    plans: Mapping[str, HostPlan]
    """By host: from which snapshot, and what."""
    at: At = NEWEST
    """Which snapshots were asked for."""


@dataclass(frozen=True)
class Recovery:
    """How to recover."""

    opened: Open
    record: Record
    console: Console
    view: View
    empty: Callable[[], None]
    """Wipes the scratch hosts. Raises ProofError if one isn't proven to be wiped."""

    def fetch(self, own: Fleet, into: Path, *, lost: str | None = None) -> FetchedKit:
        """Return the newest whole kit of the first repository that has one. Raise HostsFailed if none has."""
        self.record.reach("kit")
        failed = HostsFailed("no repository has a kit that can be used", next="rackwright backup kit")
        for name in kit_repositories(own):
            if name == lost:
                continue
            try:
                kit = fetch_kit(KitPlace(*reached_from_here(own, KIT, name)), into, self.console)
            except (HostError, ProofError) as error:
                self.console.say(f"no kit at {name}: {error.problems[0].line()}")
                failed = failed.with_problems(error.problems)
            else:
                self.record.add(_with_key(kit, name))
                return kit
        raise failed

    def recover(self, kit: FetchedKit, place: Place) -> Recovered:
        """Restore all covered hosts, apply and verify. Raise what these raise."""
        fleet = write_drill_fleet(kit, place)
        return self.of(fleet, NEWEST)

    def recover_before(self, kit: FetchedKit, place: Place) -> tuple[Recovered, Mapping[str, datetime]]:
        """Recover from before the newest snapshots, which count as poisoned; return when these were made, by host.

        If a recovery fails, the scratch hosts are wiped, and an older state is tried. Raise the last error if none is
        good, ProofError if no host has a snapshot or if a host isn't wiped.
        """
        fleet = write_drill_fleet(kit, place)
        newest = {host: plan.chosen.snapshot.time for host, plan in self._planned(fleet).items()}
        if not newest:
            raise ProofError("no host has a snapshot", where="the newest snapshots", next="rackwright backup list")
        earliest = min(newest.values())
        left = _ATTEMPTS
        while True:
            at = At("before the newest", until=earliest - timedelta(seconds=1))
            watch = self._watch()
            try:
                return self.of(fleet, at, watch), newest
            except RackwrightError as error:
                left -= 1
                if not left or not watch.plans:
                    raise
                self.console.say(f"not good: {error.problems[0].line()}; an older state is tried")
                earliest = min(plan.chosen.snapshot.time for plan in watch.plans.values())
                self._start_over()

    def _start_over(self) -> None:
        """Leave nothing of this attempt: its files or its answer could make the next one look good."""
        self.record.reach("wipe before the next attempt")
        self.record.timeline.forget_answer()
        self.empty()

    def of(self, fleet: Fleet, at: At, watch: Watch | None = None) -> Recovered:
        """Recover this drill's fleet from the newest state that `at` allows."""
        watch = watch or self._watch()
        asked = Asked(at=at, everything=True, accept_keys=True)
        self.record.reach("plan")
        done = restore_everything(lambda: self.opened(fleet), asked, self.console, watch, not_stale=True, reboot=True)
        # A host may have been restored from another repository than planned, because one failed.
        carried_out = {one.host: one.plan for one in done.restored if one.plan}
        return Recovered(fleet, done, {**watch.plans, **carried_out}, at)

    def _planned(self, fleet: Fleet) -> Mapping[str, HostPlan]:
        """Return what a restore would do. Nothing is changed."""
        watch = self._watch(only_plan=True)
        try:
            with self.opened(fleet) as session:
                restore(session, Asked(everything=True, accept_keys=True), self.console, watch.restore)
        except _PlanIsEnough:
            pass
        return watch.plans

    def _watch(self, *, only_plan: bool = False) -> Watch:
        return Watch(self.record, self.view, only_plan=only_plan)


def _with_key(kit: FetchedKit, name: str) -> Check:
    """Return whether the CA's key came from a kit: else this machine's own is used, which a disaster may take."""
    found = f"from the kit {kit.key_of.id[:8]} at {name}" if kit.key_of else f"no kit at {name} has it"
    return Check(CA_KEY_SAVED, "passed" if kit.key_of else "failed", found=found, expected="the CA's key in a kit")


class _PlanIsEnough(Exception):
    """Ends a restore after its plan, before anything is changed."""


@dataclass
class Watch:
    """Notes the phases of a recovery as they are shown to the operator."""

    record: Record
    view: View
    only_plan: bool = False
    plans: Mapping[str, HostPlan] = field(default_factory=dict)
    _verifying: bool = False

    def restore(self, planned: RestorePlan) -> None:
        self.plans = {plan.host: plan for plan in planned.hosts}
        for plan in planned.hosts:
            chosen = plan.chosen
            self.record.say(f"{plan.host}: {chosen.snapshot.id} at {chosen.reader.name}")
        if self.only_plan:
            raise _PlanIsEnough
        self.view.restore(planned)
        self.record.reach("restore")

    def apply(self, planned: Plan) -> None:
        self.view.apply(planned)
        self.record.reach("apply")

    def proof(self, proof: Proof) -> None:
        if not self._verifying:
            self._verifying = True
            self.record.reach("verify")
        if proof.passed and proof.answer:
            self.record.timeline.answer_proven()
        self.record.say(f"{'ok' if proof.passed else 'FAIL'} {proof.host}: {proof.what}: {proof.found}")
        self.view.proof(proof)
