"""For how long the cloud has had no request, by the ledgers of all gateways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.errors import HostError, Problem
from rackwright.gateway.ledger import Ledgers
from rackwright.gateway.whole_ledger import Ledger, Line, Sums, whole
from rackwright.lifecycle.migrate.cutover.standing import Cutting
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.finish.state import QuietTime
from rackwright.report.words import counted, duration
from rackwright.roles.ledger.program.book import Book
from rackwright.state.formats import stamp, utc_now

_FLEET = "fleet"
"""Whatever has another side was answered by a cloud, also as a fallback."""


@dataclass(frozen=True)
class Quiet:
    time: QuietTime
    problems: tuple[Problem, ...] = ()
    """Why it wasn't long enough, or why nobody knows."""


def quiet(place: Place, cutting: Cutting) -> Quiet:
    """Read the ledgers of all gateways; return what they say of the plan's `finish.quiet`."""
    session, now = place.session, utc_now().timestamp()
    ledgers = Ledgers(session.remote, tuple(session.fleet.gateways))
    earlier = ledgers.look()
    own = ledgers.look()
    ledger = whole(own, [book for book in earlier.values() if isinstance(book, Book)])
    lines = tuple(_not_of_fleet(place, ledger))
    found = QuietTime(
        at=now,
        since=max((book.since * 3600.0 for book in own.values() if isinstance(book, Book)), default=now),
        last=max((min(_end(line), now) for line in lines), default=None),
        requests=_requests(ledger),
        whole_since=float(max(cutting.state.since.values(), default=int(now))),
        others=others_in_cloud(place),
    )
    return Quiet(found, tuple(_problems(place, found, own, ledger)))


def _not_of_fleet(place: Place, ledger: Ledger) -> Iterator[Line]:
    """Yield the lines with requests that the fleet didn't answer."""
    if others_in_cloud(place):
        # The ledger doesn't have the model: requests of another one may be meant. The shares decide then.
        return
    yield from (line for line in ledger.lines if line.side != _FLEET and line.sums != Sums())


def others_in_cloud(place: Place) -> tuple[str, ...]:
    """Return the models of the fleet that a cloud answers and that the plan doesn't move."""
    moved = {*place.plan.models.values()}
    routed = place.session.fleet.file.routed
    return tuple(name for name, model in routed.items() if model.cloud and name not in moved)


def _problems(place: Place, found: QuietTime, own: dict[str, HostError | Book], ledger: Ledger) -> Iterator[Problem]:
    where, now = f"{place.plan.migration} finish.quiet", found.at
    # With the whole share, the cloud still has the conversations from before for so long.
    long = max(place.plan.finish.quiet, place.plan.cutover.conversation if found.others else 0)
    for error in (one for one in own.values() if isinstance(one, HostError)):
        yield from error.problems
    wanted = f"the cloud should have had no request for {_long(long)}"
    if found.last is not None and found.last > now - long:
        yield Problem(where, f"the cloud had a request until {_stamp(found.last)}", wanted, _wait(found.last + long))
    if found.whole_since > now - long:
        what = f"the cloud had a share of new conversations until {_stamp(found.whole_since)}"
        yield Problem(where, what, wanted, _wait(found.whole_since + long))
    if found.since > now - long and found.since < now:
        what = f"the gateways' ledgers begin at {_stamp(found.since)}"
        yield Problem(where, what, wanted, _wait(found.since + long))
    for lost in ledger.lost:
        if lost.before.timestamp() > now - long:
            what = f"the ledger of {lost.gateway} lacks requests from {stamp(lost.after)} to {stamp(lost.before)}"
            yield Problem(where, what, wanted, _wait(lost.before.timestamp() + long))


def _long(seconds: int) -> str:
    return counted(seconds // 86_400, "day") if seconds >= 86_400 else duration(seconds)


def _requests(ledger: Ledger) -> dict[str, int]:
    found = Counter[str]()
    for line in ledger.lines:
        found[line.side] += line.sums.accepted
    return dict(found)


def _end(line: Line) -> float:
    """Return until when requests of the line may have arrived; now, if one of them runs."""
    return float("inf") if line.sums.running else (line.begins + line.lasts).timestamp()


def _wait(until: float) -> str:
    return f"wait until {_stamp(until)}"


def _stamp(seconds: float) -> str:
    from datetime import UTC, datetime

    return stamp(datetime.fromtimestamp(seconds, UTC))
