"""What keeps a share from growing, apart from the verdict: alarms, and work of others."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.errors import LeasedError
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.status.procedure import status
from rackwright.state.lease_session import refuse_open_rollout


def blocks_of(place: Place) -> tuple[str, ...]:
    """Return what is in the way now, each in one line."""
    return (*_rollout(place), *_alarms(place))


def _rollout(place: Place) -> Iterator[str]:
    try:
        refuse_open_rollout(place.session.store)
    except LeasedError as error:
        yield error.problems[0].what


def _alarms(place: Place) -> Iterator[str]:
    found = status(place.session)
    if not found.healthy:
        yield "rackwright status has an alarm"
