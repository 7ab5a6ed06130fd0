"""What a canary's trial sees: the traffic of both versions, the golden set's answers, and whether it still serves."""

from __future__ import annotations

from dataclasses import dataclass, field

from rackwright.canaries import CANARY_SECONDS
from rackwright.errors import HostError, ProofError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.canary.evidence import Seen, requests_of, traffic_of
from rackwright.lifecycle.canary.logs import AccessLogs
from rackwright.lifecycle.changes import Clock, Undecided
from rackwright.lifecycle.site import Site
from rackwright.roles.gateway.access_log import Access
from rackwright.verdict import Evidence, GoldenAnswers

PATIENCE_SECONDS = CANARY_SECONDS // 2
"""So long gateways may be out of reach. What they still send to the canary by then ends by itself soon after."""


@dataclass
class Watch:
    """Of one canary, from when it gets its first share."""

    site: Site
    replica: Replica
    logs: AccessLogs
    golden: GoldenAnswers | None
    clock: Clock
    share: float = 0.0
    """Per cent that it has now."""
    running: Seen = field(default_factory=Seen)
    candidate: Seen = field(default_factory=Seen)
    _given: float = 0.0
    """When gateways were told of it last."""
    _seen: float = 0.0
    """When all of them were asked last."""
    _down: bool = False
    """Whether a gateway found it down at the last look."""

    def give(self, percent: float, *, digest: str, run: str) -> None:
        """The canary has this share at every gateway afterwards, until it is given again or ended."""
        self.site.gateways.set_canary(self.replica.address, percent, digest=digest, rollout=run)
        self.share = percent
        self._given = self._seen = self.clock.now()

    def look(self, *, digest: str, run: str) -> None:
        """Afterwards all is known that gateways know. A gateway that is away for a moment is waited for.

        Raise ProofError where the canary fell out, Undecided where it can't be tried any longer.
        """
        try:
            self._refuse_gone()
            self._add(self.logs.read())
            if self.clock.now() - self._given >= CANARY_SECONDS / 5:
                self.give(self.share, digest=digest, run=run)
            self._seen = self.clock.now()
        except HostError as error:
            if self.clock.now() - self._seen >= PATIENCE_SECONDS:
                raise Undecided(
                    f"the gateways can't be asked: {error.problems[0].what}", where=self.replica.address
                ) from None

    def evidence(self) -> Evidence:
        running, candidate = traffic_of(self.running, self.candidate)
        return Evidence(running, candidate, self.golden)

    def _add(self, lines: list[Access]) -> None:
        for side, to_canary in ((self.running, False), (self.candidate, True)):
            side.add(requests_of(lines, self.replica.address, to_canary=to_canary))

    def _refuse_gone(self) -> None:
        states, address = self.site.gateways.servers(), self.replica.address
        state = states.get(address)
        was_down, self._down = self._down, state is None or not state.up
        # Once may be a check that came late; what others had to answer meanwhile is counted as its errors.
        if was_down and self._down:
            raise ProofError("fell out of the gateways while it was the canary", where=address)
        if state and state.held:
            raise Undecided("somebody drained the canary by hand", where=address)
        if not any(one.model == self.replica.model and one.takes_requests for one in states.values()):
            raise Undecided("nothing else serves that it could be compared with", where=address)
