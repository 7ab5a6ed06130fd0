"""What a canary's trial observes: traffic of both versions, the golden set's answers, and whether it still serves."""

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
"""How long gateways may be unreachable. The share that they still give to the canary expires soon after that."""


@dataclass
class Watch:
    """Observe one canary, from its first share on."""

    session: Session
    replica: Replica
    others: frozenset[str]
    """HOST/MODEL@N of the replicas that run the previous version."""
    digest: str
    """Digest of the canary's weights."""
    run: str
    logs: AccessLogs
    golden: GoldenAnswers | None
    clock: Clock
    share: float = 0.0
    """Percentage of the conversations that it should have now."""
    running: Seen = field(default_factory=Seen)
    """Requests since the canary got this share: both versions must see the same mix, which changes over the day."""
    candidate: Seen = field(default_factory=Seen)
    _given: float = 0.0
    """The share that was last set at the gateways."""
    _given_at: float = 0.0
    _seen: float = 0.0
    """When all gateways last answered."""
    _missing: frozenset[str] = frozenset()
    """What was missing at the last look: "canary", "others"."""

    def begin(self, percent: float) -> None:
        """Forget what was observed. The next look gives the canary this share at every gateway."""
        self.share = percent
        self.running, self.candidate = Seen(), Seen()
        self._seen = self.clock.now()

    def look(self) -> None:
        """Read the gateways' states and new log lines, and renew the canary's share. Tolerate a gateway that is
        unreachable for a short time.

        Raise ProofError if the canary became unhealthy, Undecided if it can't be tried any longer.
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
        # Earlier lines have the mix of another share.
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
            raise Undecided("an operator drained the canary manually", where=address)
        missing = {"canary"} if state is None or not state.up else set()
        if not any(one in states and states[one].takes_requests for one in self.others):
            missing.add("others")
        # One miss may be a late health check. Requests that others had to answer for it count as its errors anyway.
        twice, self._missing = self._missing & missing, frozenset(missing)
        if "canary" in twice:
            raise ProofError("fell out of the gateways while it was the canary", where=address)
        if "others" in twice:
            raise Undecided(
                "no replica with the previous version serves, so there is nothing to compare with", where=address
            )
