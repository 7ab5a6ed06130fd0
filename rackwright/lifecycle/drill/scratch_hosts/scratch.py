"""What all modules know of a scratch host: where the drill keeps its own files there, and work on several hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from rackwright.errors import RackwrightError, together
from rackwright.remote.connection import Connection

FOLDER = "/var/lib/rackwright-drill"
"""The drill's own folder on a scratch host, for root alone. It has the marker and the isolation's rules."""
MARKER = f"{FOLDER}/drill"
MODELS_AT = "/srv/models"

Result = TypeVar("Result")


def on_each(connections: Mapping[str, Connection], work: Callable[[Connection], Result]) -> dict[str, Result]:
    """Do the work on all hosts in parallel. Return the results by host when all have finished.

    Raise the error that the work raised; if there were several, one error with all their problems (`together`).
    """
    done = each_outcome(connections, work)
    if errors := [one for one in done.values() if isinstance(one, RackwrightError)]:
        raise together(errors)
    return {name: one for name, one in done.items() if not isinstance(one, RackwrightError)}


def each_outcome(
    connections: Mapping[str, Connection], work: Callable[[Connection], Result]
) -> dict[str, Result | RackwrightError]:
    """Do the work on all hosts in parallel. Return each host's result, or the RackwrightError that it raised."""
    from gevent.pool import Pool

    def tried(connection: Connection) -> Result | RackwrightError:
        try:
            return work(connection)
        except RackwrightError as error:
            return error

    done: list[Result | RackwrightError] = Pool(64).map(tried, connections.values())
    return dict(zip(connections, done, strict=True))
