"""A stand-in for gateways under a cutover, whose clients ask all the time. Time passes only in `sleep`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.gateway.cutover_runtime import Wanted
from rackwright.gateway.cutover_states import CutoverRecord, Dealt, GatewayCutover, Share
from rackwright.lifecycle.migrate.cutover import ready, rollback, shares, watch
from rackwright.lifecycle.migrate.cutover.procedure import Cutover
from rackwright.lifecycle.migrate.cutover.ready import Step
from rackwright.lifecycle.migrate.cutover.standing import cutting_of
from rackwright.lifecycle.migrate.shadow.fresh_score import Found
from rackwright.migrate.cutover.fallback_cap import FallbackCap
from rackwright.migrate.cutover.state import CutoverState
from rackwright.roles.gateway.access_log import Access
from rackwright.verdict import Word
from tests.lifecycle.migrate.desks import Desk

PER_TENTH = 1
"""New conversations at each gateway, in a tenth of a second."""
START = 1_790_000_000


@dataclass
class Gateway:
    share: float = 0.0
    change: str = ""
    record: CutoverRecord | None = None
    panic: bool = False
    down: bool = False
    """It can't be asked; it still serves clients."""
    sticks: bool = False
    """It says that it has a new share, and assigns by the one before."""
    ahead: int = 0
    """Seconds by which its clock is ahead."""
    dealt: dict[str, Dealt] = field(default_factory=dict)
    assigns: tuple[float, str] = (0.0, "")
    falls: Mapping[str, int] = field(default_factory=dict)
    lines: list[tuple[int, Access]] = field(default_factory=list)


@dataclass
class World:
    """The interfaces of a clock, of Cutovers and of AccessLogs, for all gateways."""

    gateways: dict[str, Gateway]
    now_: float = 0.0
    fails: float = 0.0
    """The share of the fleet's requests that fail."""
    falls: float = 0.0
    """The share of the fleet's requests that the cloud answers in its place."""
    slow: float = 1.0
    """How many times as long as the cloud's the fleet's answers take."""
    most: float = 100
    """The largest share with which the fleet's answers are as fast as the cloud's."""
    at: dict[int, Callable[[], None]] = field(default_factory=dict)
    """Second → what happens then."""
    asked: int = 0
    gone: int = 0
    """How many further commands reach the gateways; then the process is killed. 0: all do."""

    # A clock.

    def now(self) -> float:
        return self.now_

    def sleep(self, seconds: float) -> None:
        before = int(self.now_ * 10)
        self.now_ += seconds
        for tenth in range(before, int(self.now_ * 10)):
            for gateway in self.gateways.values():
                self._serve(gateway, tenth // 10)
            if act := self.at.pop(tenth // 10, None):
                act()

    def _serve(self, gateway: Gateway, second: int) -> None:
        percent, change = gateway.assigns
        for _ in range(PER_TENTH):
            self.asked += 1
            number = self.asked * 611_953 % 1_000_000
            fleet = number < percent * 10_000
            if change:
                dealt = gateway.dealt.get(change, Dealt(0, 0))
                gateway.dealt[change] = Dealt(dealt.fleet + fleet, dealt.cloud + (not fleet))
                slow = self.slow if percent <= self.most else 3
                gateway.lines.append((START + second + gateway.ahead, self._line(number, fleet, slow)))

    def _line(self, number: int, fleet: bool, slow: float) -> Access:
        failed = fleet and self.asked % 100 < self.fails * 100
        fell = fleet and self.asked % 100 < self.falls * 100
        taken = int((300 + self.asked * 37 % 100) * (slow if fleet else 1))
        return Access.model_construct(
            name="gpt-4o-mini",
            side="fallback" if fell else "fleet" if fleet else "cloud",
            conversation=number,
            status=500 if failed else 200,
            end="completed",
            stream=True,
            first_byte_ms=taken,
            total_ms=taken + 100,
            queued_ms=0,
            completion_tokens=None,
            replica=None,
        )

    # Cutovers.

    def look(self) -> dict[str, HostError | GatewayCutover]:
        return {host: self._seen(host, one) for host, one in self.gateways.items()}

    def _seen(self, host: str, one: Gateway) -> HostError | GatewayCutover:
        if one.down:
            return HostError("can't be reached", where=host)
        given = Share(one.share, one.change, 0, 0, "assistant", one.falls.get("gpt-4o-mini", 0))
        has = {"gpt-4o-mini": given} if one.change else {}
        return GatewayCutover(self._clock(one), has, has, one.record, one.panic, dict(one.dealt))

    def _clock(self, one: Gateway) -> int:
        return START + int(self.now_) + one.ahead

    def give(self, wanted: Wanted, record: CutoverRecord, after: Mapping[str, str]) -> dict[str, HostError | int]:
        return {host: self._given(host, one, wanted, record, after[host]) for host, one in self.gateways.items()}

    def _given(self, host: str, one: Gateway, wanted: Wanted, record: CutoverRecord, after: str) -> HostError | int:
        self._alive()
        if one.down:
            return HostError("can't be reached", where=host)
        if one.panic:
            return HostError("the panic file exists", where=host)
        if one.change not in (after, wanted.change):
            return HostError("its share was changed meanwhile", where=host)
        one.share, one.change, one.falls = wanted.percent, wanted.change, wanted.fallback
        one.record = record.model_copy(update={"time": self._clock(one)})
        if not one.sticks:
            one.assigns = (wanted.percent, wanted.change)
        return self._clock(one)

    def roll_back(self, record: CutoverRecord) -> dict[str, HostError | None]:
        return {host: self._back(host, one, record) for host, one in self.gateways.items()}

    def _back(self, host: str, one: Gateway, record: CutoverRecord) -> HostError | None:
        self._alive()
        if one.down:
            return HostError("can't be reached", where=host)
        if one.change or not (one.record and one.record.back):
            one.record = record.model_copy(update={"time": self._clock(one)})
        one.share, one.change, one.falls = 0.0, "", {}
        if not one.sticks:
            one.assigns = (0.0, "")
        return None

    def _alive(self) -> None:
        if self.gone:
            self.gone -= 1
            if not self.gone:
                raise KeyboardInterrupt


@dataclass
class Logs:
    """The interface of AccessLogs."""

    world: World
    read_: dict[str, int] = field(default_factory=dict)

    def resume(self, since: Mapping[str, int]) -> None:
        for host, time in since.items():
            lines = self.world.gateways[host].lines
            self.read_[host] = next((n for n, (at, _) in enumerate(lines) if at >= time), len(lines))

    def read(self) -> list[Access]:
        found: list[Access] = []
        for host, start in self.read_.items():
            lines = self.world.gateways[host].lines
            found += [line for _, line in lines[start:]]
            self.read_[host] = len(lines)
        return found


@dataclass
class StandInScore:
    """The interface of a step's score."""

    found: Found = field(default_factory=lambda: Found(Word.PASS, "all segments"))
    steps: list[float] = field(default_factory=list)
    """The share of each step that was scored."""
    looked: list[bool] = field(default_factory=list)
    """At each look, whether nothing else kept the share from growing."""
    closed: int = 0

    def begin(self, state: CutoverState) -> StandInScore:
        self.steps.append(state.share)
        return self

    def look(self, *, wanted: bool) -> Found:
        self.looked.append(wanted)
        return self.found

    def close(self) -> None:
        self.closed += 1


@dataclass
class Made:
    """A desk in the world."""

    desk: Desk
    world: World
    blocked: tuple[str, ...] = ()
    score: StandInScore = field(default_factory=lambda: StandInScore())

    def run(
        self,
        *steps: float,
        state: CutoverState | None = None,
        stopping: Any = lambda: False,
        fallback: FallbackCap | None = None,
    ) -> CutoverState:
        """Run these steps from what the log has, as the command does after its checks."""
        place = self.desk.open()
        start = state or cutting_of(place).state
        shares_ = steps or place.plan.cutover.share
        return Cutover(place, self.world, stopping, lambda: self.blocked, self.score.begin, fallback).run(
            start, tuple(Step(share) for share in shares_)
        )

    def has(self, *shares: float) -> None:
        """Put the gateways and the log where they are when these steps have passed."""
        place, since = self.desk.open(), {}
        for host, gateway in self.world.gateways.items():
            gateway.share, gateway.change, gateway.assigns = shares[-1], "given", (shares[-1], "given")
            record = CutoverRecord(migration="support", share=shares[-1], change="given", who="anna", time=START)
            gateway.record, since[host] = record, START
        state = CutoverState(phase="passed", share=shares[-1], change="given", since=since, passed=shares)
        place.note("cutover", "passed", state)

    @property
    def state(self) -> CutoverState:
        return cutting_of(self.desk.open()).state

    @property
    def session(self) -> Any:
        return self.desk.session


def made(desk: Desk, monkeypatch: pytest.MonkeyPatch, hosts: tuple[str, ...] = ("gate1", "gate2")) -> Made:
    world = World({host: Gateway() for host in hosts})
    for module in (shares, rollback):
        monkeypatch.setattr(module, "cutovers_of", lambda *_: world)
    monkeypatch.setattr(watch, "AccessLogs", lambda *_: Logs(world))
    monkeypatch.setattr(ready, "require_client_here", lambda _: None)
    # Fewer resamples: what they say is tests/verdict's.
    module = import_module("rackwright.verdict.decide")
    monkeypatch.setattr(module, "decide", partial(module.decide, resamples=400))
    desk.edit(
        "replay:",
        "cutover: {min_duration: 30s, min_requests: 20, max_duration: 10m, share: [5, 25, 50, 100], "
        "thresholds: {errors: 15%}}\nreplay:",
    )
    return Made(desk, world)
