"""`migrate review`: compare what was promised before the cutover with what is measured now, and note it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rackwright.errors import HostError, UsageError
from rackwright.gateway.whole_ledger import Ledger
from rackwright.lifecycle.canary.evidence import Seen, asked_of_side, traffic_of
from rackwright.lifecycle.migrate.cutover.blocks import ledger_of
from rackwright.lifecycle.migrate.cutover.standing import beginning, cutting_of
from rackwright.lifecycle.migrate.cutover.watch import thresholds_of
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.review.gateway_logs import Logged, Wanted, Window, read_logs
from rackwright.lifecycle.migrate.review.of_ledger import of_ledger
from rackwright.lifecycle.migrate.review.promised import Promised, newest_score, promised
from rackwright.migrate.cost.bill import Bill
from rackwright.migrate.cost.comparison import compare
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.plan.cutover import WHOLE
from rackwright.migrate.plan.plan_keys import plan_digest
from rackwright.migrate.review.hourly import HOUR, Hour, Hours
from rackwright.migrate.review.of_capacity import of_capacity
from rackwright.migrate.review.of_cost import Rates, charged, of_cost
from rackwright.migrate.review.of_score import of_score
from rackwright.migrate.review.of_times import of_times
from rackwright.migrate.review.promises import Basis, Finding, Promise, Reviewed, State, Unit
from rackwright.state.formats import utc_now
from rackwright.state.migrations import Entry
from rackwright.verdict import Evidence
from rackwright.verdict.result import Verdict

_OF_LOGS: dict[Promise, Unit] = {"capacity": "requests/s", "cost": "a month", "errors": "share", "latency": "s"}
"""What the access logs say."""
_NOTED: tuple[State, ...] = ("kept", "broken", "open", "not measured")


def review(place: Place) -> Reviewed:
    """Return the review, and note it in the log.

    Raise UsageError if the fleet has no share now, RackwrightError if the log or the newest score was changed.
    """
    state, begun = cutting_of(place).state, beginning(place.log)
    if not state.under_way or begun is None:
        raise UsageError(
            "the fleet has no share of the conversations: there is nothing to review",
            where=place.plan.migration,
            next=f"rackwright migrate cutover {place.plan.migration}",
        )
    found = _Review(place, state, begun, promised(place, begun), utc_now()).reviewed()
    broken = ", ".join(one.name for one in found.of("broken"))
    counts = ", ".join(f"{len(found.of(state))} {state}" for state in _NOTED)
    place.note("review", f"{counts}: {broken}" if broken else counts, found)
    return found


@dataclass(frozen=True)
class _Review:
    place: Place
    state: CutoverState
    begun: Entry
    promised: Promised
    now: datetime

    def reviewed(self) -> Reviewed:
        logged = self._logged()
        return Reviewed(
            currency=self.place.plan.currency,
            basis=self._basis(logged),
            findings=tuple(self._findings(logged)),
            doubts=(*self.promised.doubts, *self._unread(logged)),
        )

    def _logged(self) -> Logged | HostError:
        try:
            return read_logs(self.place.session.remote, self._wanted())
        except HostError as error:
            return error

    def _wanted(self) -> Wanted:
        since = [self.begun.time.timestamp(), *(() if self._has_cloud else self.state.earlier.values())]
        names = tuple(sorted(self.place.plan.models))
        windows = {gateway: self._windows(gateway) for gateway in self.place.session.fleet.gateways}
        return Wanted(names, min(since), self.now.timestamp(), windows)

    def _windows(self, gateway: str) -> dict[str, Window]:
        """The cloud's requests are those of the newest step in which it had new conversations."""
        since = float(self.state.since.get(gateway, self.begun.time.timestamp()))
        end = self.now.timestamp() + 86_400
        fleet = Window(since, end)
        if self._has_cloud:
            return {"fleet": fleet, "cloud": fleet}
        earlier = self.state.earlier.get(gateway)
        return {"fleet": fleet, "cloud": Window(float(earlier), since)} if earlier else {"fleet": fleet}

    def _findings(self, logged: Logged | HostError) -> Iterator[Finding]:
        name = self.place.plan.migration
        if self.promised.score:
            now, when = newest_score(self.place, self.begun) or (None, None)
            again = f"rackwright migrate shadow {name}"
            if self.state.whole:
                again = f"rackwright migrate capture {name}, then replay and score"
            yield of_score(self.promised.score, now, when, again)
        if isinstance(logged, HostError):
            yield from self._unmeasured(logged)
        else:
            yield from self._capacities(logged.hours)
            yield from self._costs(logged.hours)
            yield from self._times(logged)
        yield of_ledger(self._ledger())

    def _capacities(self, hours: Hours) -> Iterator[Finding]:
        for one in self.promised.capacity.models if self.promised.capacity else ():
            replicas = len(self.place.session.fleet.replicas_of(one.model))
            yield of_capacity(one, self.state.share, replicas, hours, self.begun.time.timestamp())

    def _costs(self, hours: Hours) -> Iterator[Finding]:
        plan, cost = self.place.plan, self.promised.cost
        if cost is None or plan.costs is None:
            return
        recorded = self.promised.assessed.traffic.models if self.promised.assessed else {}
        prices = {name: plan.prices[name] for name in plan.models}
        rates = Rates(prices, {name: one.tokens for name, one in recorded.items()})
        fleet = compare(Bill("recorded tokens", {}, {}), plan.costs, plan.currency).fleet
        yield from of_cost(cost, fleet, charged(rates, hours, self._step), self.state.share, self.state.whole)

    def _times(self, logged: Logged) -> Iterator[Finding]:
        back = f"rackwright migrate rollback {self.place.plan.migration}, if clients shouldn't wait for a remedy"
        yield from of_times(self._verdict(logged), broken=back, other="the same command later")

    def _verdict(self, logged: Logged) -> Verdict:
        # scipy is slow to import.
        from rackwright.verdict.decide import decide

        cloud, fleet = Seen(), Seen()
        share = self.state.share if self._has_cloud else self.state.earlier_share
        cloud.add(asked_of_side(logged.samples.get("cloud", ()), "cloud", share))
        fleet.add(asked_of_side(logged.samples.get("fleet", ()), "fleet", self.state.share))
        running, candidate = traffic_of(cloud, fleet)
        return decide(Evidence(running, candidate, None), thresholds_of(self.place.plan))

    def _ledger(self) -> Ledger | HostError:
        try:
            return ledger_of(self.place)
        except HostError as error:
            return error

    def _unmeasured(self, why: HostError) -> Iterator[Finding]:
        said = "; ".join(f"{one.where}: {one.what}" for one in why.problems)
        next_ = why.problems[0].next or "rackwright status"
        for promise, unit in _OF_LOGS.items():
            yield Finding(promise=promise, unit=unit, state="not measured", why=said, next=next_)

    def _unread(self, logged: Logged | HostError) -> Iterator[str]:
        if isinstance(logged, HostError):
            return
        if logged.dropped:
            yield f"{logged.dropped:,} lines of the access logs couldn't be read"
        if logged.hours.begins > self.begun.time.timestamp() + 60:
            since = datetime.fromtimestamp(logged.hours.begins, UTC)
            yield f"the access logs go back to {since:%Y-%m-%dT%H:%M:%SZ} only: requests before that aren't counted"

    def _basis(self, logged: Logged | HostError) -> Basis:
        begun, begins = self.begun.time, None
        rows: tuple[Hour, ...] = ()
        if not isinstance(logged, HostError):
            begins = max(begun, datetime.fromtimestamp(logged.hours.begins, UTC))
            rows = tuple(row for row in logged.hours.rows if row.number >= begun.timestamp() // HOUR)
        return Basis(
            began=begun,
            step=datetime.fromtimestamp(self._step, UTC),
            until=self.now,
            share=self.state.share,
            counted_from=begins,
            requests=sum(row.requests for row in rows),
            fleet=sum(row.requests for row in rows if row.side == "fleet"),
            log=self.place.log.last or "",
            plan=plan_digest(self.place.plan),
        )

    @property
    def _step(self) -> float:
        """When the last gateway got the present share, Unix seconds."""
        return max((float(one) for one in self.state.since.values()), default=self.begun.time.timestamp())

    @property
    def _has_cloud(self) -> bool:
        return self.state.share < WHOLE
