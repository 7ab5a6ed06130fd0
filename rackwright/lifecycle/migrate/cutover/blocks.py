"""What keeps a share from growing, apart from the verdict: a residual, alarms, and work of others."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.errors import LeasedError
from rackwright.gateway.ledger import Ledgers
from rackwright.gateway.whole_ledger import Line
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.status.procedure import status
from rackwright.state.lease_session import refuse_open_rollout


def blocks_of(place: Place) -> tuple[str, ...]:
    """Return what is in the way now, each in one line."""
    return (*_rollout(place), *_ledger(place), *_alarms(place))


def _rollout(place: Place) -> Iterator[str]:
    try:
        refuse_open_rollout(place.session.store)
    except LeasedError as error:
        yield error.problems[0].what


def _ledger(place: Place) -> Iterator[str]:
    """A residual since the cutover began; while it can't be settled, requests are still on their way."""
    session, began = place.session, next(entry.time for entry in place.log.entries if entry.step == "cutover")
    found = Ledgers(session.remote, tuple(session.fleet.gateways)).read().since(began)
    yield from (f"{host}: {error.problems[0].what}" for host, error in found.unasked.items())
    yield from (_words(line) for line in found.residuals)
    if found.unsettled and not found.unasked:
        yield "the ledger isn't settled yet"


def _words(line: Line) -> str:
    low, high = (line.residual.low, line.residual.high) if line.residual else (0, 0)
    count = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return (
        f"the ledger of {line.gateway} has a residual of {count}: key {line.key}, side {line.side}, "
        f"from {line.begins:%Y-%m-%dT%H:00Z} on"
    )


def _alarms(place: Place) -> Iterator[str]:
    if not status(place.session).healthy:
        yield "rackwright status has an alarm"
