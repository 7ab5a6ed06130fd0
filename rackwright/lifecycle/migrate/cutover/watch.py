"""What one step of a cutover sees of both sides' traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rackwright.gateway.cutover_states import GatewayCutover
from rackwright.lifecycle.canary.evidence import Seen, asked_of_side, traffic_of
from rackwright.lifecycle.canary.logs import AccessLogs
from rackwright.lifecycle.canary.steps import is_hopeless
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.rollout.change import Undecided
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.cutover.step_gate import LOOKS
from rackwright.migrate.plan.plan import Plan
from rackwright.verdict import Evidence, Thresholds, Verdict


@dataclass
class Watch:
    """Observe one step, from the newest lines of the log since it was reached."""

    place: Place
    state: CutoverState
    look: Callable[[], Mapping[str, GatewayCutover]]
    cloud: Seen = field(default_factory=Seen)
    fleet: Seen = field(default_factory=Seen)
    _logs: AccessLogs = field(init=False)

    def __post_init__(self) -> None:
        wanted = lines_of(self.place.plan)
        if not self._has_cloud:
            # All new conversations go to the fleet: the cloud's figures are those of the step before.
            earlier = AccessLogs(self.place.session, wanted)
            earlier.resume(self.state.earlier)
            self.cloud.add(asked_of_side(earlier.read(), "cloud", self.state.earlier_share))
        self._logs = AccessLogs(self.place.session, wanted)
        self._logs.resume(self.state.since)

    def read(self) -> float:
        """Read what is new; return for how many seconds every gateway has had the share.

        Raise Undecided if one doesn't have it any more, HostError if one can't be asked.
        """
        gateways = self.look()
        for host, one in gateways.items():
            self._refuse_moved(host, one)
        lines = self._logs.read()
        self.fleet.add(asked_of_side(lines, "fleet", self.state.share))
        if self._has_cloud:
            self.cloud.add(asked_of_side(lines, "cloud", self.state.share))
        return min(one.now - self.state.since.get(host, one.now) for host, one in gateways.items())

    def verdict(self) -> Verdict:
        """Judge the fleet against the cloud, on what both have answered so far."""
        # scipy is slow to import.
        from rackwright.verdict.decide import decide

        cloud, fleet = traffic_of(self.cloud, self.fleet)
        return decide(Evidence(cloud, fleet, None), thresholds_of(self.place.plan), looks=LOOKS)

    def hopeless(self) -> bool:
        """Return whether the fleet fails most of its newest conversations, and the cloud hardly any."""
        return is_hopeless(self.cloud.newest(), self.fleet.newest())

    @property
    def _has_cloud(self) -> bool:
        return self.state.share < 100

    def _refuse_moved(self, host: str, one: GatewayCutover) -> None:
        if one.change == self.state.change:
            return
        who = f"{one.record.who} has " if one.record else ""
        if one.rolled_back or one.panic:
            raise Undecided(f"{who}rolled back: all requests go to the cloud", where=host)
        raise Undecided(f"{who}another share: {one.percent:g} %", where=host)


def lines_of(plan: Plan) -> str:
    """Return what matches the access log's lines of the plan's conversations."""
    names = "|".join(name.replace(".", "[.]") for name in sorted(plan.models))
    return f'"name":"({names})",.*"conversation":[0-9]+,"side":"(cloud|fleet|fallback)"'


def thresholds_of(plan: Plan) -> Thresholds:
    return Thresholds(**plan.cutover.thresholds.model_dump(exclude_none=True))
