"""What a canary's trial sees: the traffic of both versions, the golden set's answers, and whether it still serves."""

from __future__ import annotations

from dataclasses import dataclass, field

from rackwright.errors import HostError, ProofError
from rackwright.fleet.fleet import Replica
from rackwright.gateway import CANARY_SECONDS
from rackwright.lifecycle.canary.evidence import Seen, asked_of_canary, asked_of_running, traffic_of
from rackwright.lifecycle.canary.logs import AccessLogs
from rackwright.lifecycle.rollout.change import Clock, Undecided
from rackwright.lifecycle.session.session import Session
from rackwright.verdict import Evidence, GoldenAnswers

PATIENCE_SECONDS = CANARY_SECONDS // 2
"""So long gateways may be out of reach. What they still send to the canary by then ends by itself soon after."""


@dataclass
class Watch:
    """Of one canary, from when it gets its first share."""

    session: Session
    replica: Replica
    others: frozenset[str]
    """HOST/MODEL@N of those that run the version before."""
    digest: str
    """Of the canary's weights."""
    run: str
    logs: AccessLogs
    golden: GoldenAnswers | None
    clock: Clock
    share: float = 0.0
    """Per cent that it should have now."""
    running: Seen = field(default_factory=Seen)
    """What was asked while it had this share: by day clients ask otherwise than by night, and both see the same."""
    candidate: Seen = field(default_factory=Seen)
    _given: float = 0.0
    """What gateways were told last."""
    _given_at: float = 0.0
    _seen: float = 0.0
    """When all of them were asked last."""
    _missing: frozenset[str] = frozenset()
    """What the last look found missing."""

    def begin(self, percent: float) -> None:
        """From the next look on the canary has this share at every gateway, until it is ended; nothing is known of it
        yet."""
        self.share = percent
        self.running, self.candidate = Seen(), Seen()
        self._seen = self.clock.now()

    def look(self) -> None:
        """Afterwards all is known that gateways know. A gateway that is away for a moment is waited for.

        Raise ProofError where the canary fell out, Undecided where it can't be tried any longer.
        """
        try:
            self._refuse_gone()
            self._read()
            self._give()
            self._seen = self.clock.now()
        except HostError as error:
            if self.clock.now() - self._seen >= PATIENCE_SECONDS:
                raise Undecided(
                    f"the gateways can't be asked: {error.problems[0].what}", where=self.replica.address
                ) from None

    def evidence(self) -> Evidence:
        running, candidate = traffic_of(self.running, self.candidate)
        return Evidence(running, candidate, self.golden)

    def _read(self) -> None:
        lines = self.logs.read()
        # What came before has the mix of another share.
        if self._given == self.share:
            self.candidate.add(asked_of_canary(lines, self.replica.address))
            self.running.add(asked_of_running(lines, self.others, self.share))

    def _give(self) -> None:
        now = self.clock.now()
        if self._given == self.share and now - self._given_at < CANARY_SECONDS / 5:
            return
        self.session.gateways.set_canary(self.replica.address, self.share, digest=self.digest, rollout=self.run)
        self._given, self._given_at = self.share, now

    def _refuse_gone(self) -> None:
        states, address = self.session.gateways.servers(), self.replica.address
        state = states.get(address)
        if state and state.drained_manually:
            raise Undecided("somebody drained the canary by hand", where=address)
        missing = {"canary"} if state is None or not state.up else set()
        if not any(one in states and states[one].takes_requests for one in self.others):
            missing.add("others")
        # Once may be a check that came late; what others had to answer meanwhile is counted as its errors.
        twice, self._missing = self._missing & missing, frozenset(missing)
        if "canary" in twice:
            raise ProofError("fell out of the gateways while it was the canary", where=address)
        if "others" in twice:
            raise Undecided("nothing else serves that it could be compared with", where=address)
