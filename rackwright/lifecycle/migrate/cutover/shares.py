"""Change the fleet's share at all gateways, and see from their counters that they all assign by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from rackwright.errors import HostError
from rackwright.gateway.cutover_runtime import Cutovers, Wanted
from rackwright.gateway.cutover_states import CutoverRecord, GatewayCutover
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.rollout.change import Clock
from rackwright.lifecycle.session.session import Session

Found = TypeVar("Found")
PATIENCE = 10.0
"""Seconds in which all gateways must assign by a new share."""
_NONE = "none"
"""No change has this name."""
BETWEEN = 0.2
"""Seconds between two looks at their counters."""


def cutovers_of(session: Session, migration: str) -> Cutovers:
    return Cutovers(session.gateways, migration)


@dataclass(frozen=True)
class Shares:
    """A migration's share at all gateways."""

    place: Place
    clock: Clock

    @property
    def cutovers(self) -> Cutovers:
        return cutovers_of(self.place.session, self.place.plan.migration)

    def look(self) -> dict[str, GatewayCutover]:
        """Return what each gateway does. Raise HostError, naming each that can't be asked."""
        return _all(self.cutovers.look())

    def give(self, percent: float, change: str, follows: str, falls: Mapping[str, int]) -> dict[str, int]:
        """Give the fleet this share at every gateway; return when each got it, by its clock.

        `falls`: the provider's model → how many requests in an hour the cloud may answer in the fleet's place.

        Every gateway has it afterwards, and none assigns by another one any more. A gateway that has this change
        already keeps its time. `follows`: the change before it, "" if the cutover begins. Otherwise a gateway where
        someone has rolled back refuses. Raise HostError, naming each gateway where it isn't so.
        """
        before = self.look()
        plan = self.place.plan
        wanted = Wanted(percent, plan.models, change, int(plan.cutover.conversation), falls)
        record = CutoverRecord(
            migration=plan.migration, share=percent, change=change, who=self.place.session.operator.who
        )
        since = _all(self.cutovers.give(wanted, record, _present(before, begins=not follows)))
        self._see(change, {host: one.change for host, one in before.items()})
        return {host: _since(before[host], change, time) for host, time in since.items()}

    def give_back(
        self, percent: float, change: str, falls: Mapping[str, int]
    ) -> tuple[dict[str, int], dict[str, str]]:
        """Give the fleet an earlier share at each gateway that can be reached, 0: none at all.

        Return when each got it, by its clock, and why the others didn't.
        """
        plan, who = self.place.plan, self.place.session.operator.who
        record = CutoverRecord(migration=plan.migration, share=percent, change=change, back=not percent, who=who)
        answers: Mapping[str, HostError | int | None]
        if percent:
            wanted = Wanted(percent, plan.models, change, int(plan.cutover.conversation), falls)
            seen = self.cutovers.look()
            known = {host: one for host, one in seen.items() if isinstance(one, GatewayCutover)}
            answers = self.cutovers.give(wanted, record, dict.fromkeys(seen, _NONE) | _present(known))
        else:
            answers = self.cutovers.roll_back(record)
        missed = {host: one.problems[0].what for host, one in answers.items() if isinstance(one, HostError)}
        return {host: one for host, one in answers.items() if isinstance(one, int)}, missed

    def _see(self, change: str, before: Mapping[str, str]) -> None:
        """Return when all gateways' counters show the change. Raise HostError if that takes too long."""
        end, last = self.clock.now() + PATIENCE, self.look()
        while True:
            self.clock.sleep(BETWEEN)
            now = self.look()
            late = [host for host in now if not _follows(now[host], last[host], change, before[host])]
            if not late:
                return
            if self.clock.now() >= end:
                raise HostError(
                    f"doesn't assign conversations by the new share after {PATIENCE:g} s",
                    where=", ".join(late),
                    next=f"rackwright migrate cutover {self.place.plan.migration}, which shows each gateway",
                )
            last = now


def still_given(cutovers: Cutovers, clock: Clock, hosts: Collection[str]) -> dict[str, str]:
    """Return which of these gateways still give the fleet a share after a rollback, with what is seen."""
    last = cutovers.look()
    clock.sleep(BETWEEN)
    return {
        host: why for host, now in cutovers.look().items() if host in hosts and (why := _still(now, last.get(host)))
    }


def _still(now: HostError | GatewayCutover, last: HostError | GatewayCutover | None) -> str:
    if isinstance(now, HostError):
        return now.problems[0].what
    if now.shares or now.held:
        return "still gives the fleet a share"
    grows = isinstance(last, GatewayCutover) and now.dealt != last.dealt
    return "still assigns conversations to the fleet" if grows else ""


def _follows(now: GatewayCutover, last: GatewayCutover, change: str, before: str) -> bool:
    """Return whether a gateway and its worker have the change, and assign nothing by the one before."""
    if now.change != change or now.shares != now.held:
        return False
    return before in ("", change) or now.dealt.get(before) == last.dealt.get(before)


def _present(gateways: Mapping[str, GatewayCutover], *, begins: bool = False) -> dict[str, str]:
    """Return each gateway's change. One where someone rolled back must stay so, unless the cutover begins again."""
    return {host: _NONE if one.rolled_back and not begins else one.change for host, one in gateways.items()}


def _since(before: GatewayCutover, change: str, now: int) -> int:
    """Return when a gateway got the change: an earlier run may have given it."""
    return before.record.time if before.record and before.record.change == change else now


def _all(answers: Mapping[str, HostError | Found]) -> dict[str, Found]:
    failed = [one for one in answers.values() if isinstance(one, HostError)]
    if failed:
        raise failed[0].with_problems(problem for one in failed[1:] for problem in one.problems)
    return {host: one for host, one in answers.items() if not isinstance(one, HostError)}
