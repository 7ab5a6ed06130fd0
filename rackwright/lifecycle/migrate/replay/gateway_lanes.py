"""The two sides of a replay, as clients reach them: through the gateways, with keys whose side is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from rackwright.errors import RackwrightError
from rackwright.fleet.times.zone import zone_of
from rackwright.lifecycle.bench.way import entrance
from rackwright.lifecycle.client.origin import choose_asker
from rackwright.lifecycle.client.request import FromController
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.replay.lane import Lane, Pace
from rackwright.lifecycle.migrate.replay.lent_key import lent_key
from rackwright.lifecycle.migrate.replay.sender import Door, gateway_sender
from rackwright.lifecycle.session.session import Session
from rackwright.migrate.side import Side
from rackwright.stopping import Stopping, stoppable
from rackwright.values.windows import Window, is_open, next_opening

MOST_SECONDS = 600
"""The longest that one answer may take, if the gateways allow that much."""


@dataclass(frozen=True)
class Hours:
    """When both sides may be asked. It says once when it has to wait, and until when."""

    windows: tuple[Window, ...]
    zone: tzinfo
    say: Callable[[str], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def waiter(self) -> Callable[[], float]:
        """Return a function that returns the seconds until a window opens; 0: one is open."""
        said: list[datetime] = []

        def closed_until() -> float:
            now = self.now()
            if is_open(now, self.windows, (), self.zone):
                return 0.0
            opens = next_opening(now, self.windows, (), self.zone)
            if opens is None:
                raise RackwrightError("no window ever opens", where="replay.hours")
            if opens not in said:
                said.append(opens)
                self.say(f"outside replay.hours: waiting until {opens.astimezone(self.zone):%a %Y-%m-%d %H:%M %Z}")
            return max(0.001, (opens - now).total_seconds())

        return closed_until


@contextmanager
def both_lanes(place: Place, stopping: Stopping = lambda: False) -> Iterator[Mapping[Side, Lane]]:
    """Yield a lane to each side, in the plan's hours and with its concurrency, until Ctrl-C or `stopping`.

    Raise RackwrightError if the gateways don't let clients in from here.
    """
    plan, session, console = place.plan, place.session, place.console
    hours = Hours(plan.replay.hours, zone_of(session.fleet), console.say)
    sides: tuple[Side, ...] = ("cloud", "fleet")
    with ExitStack() as stack:
        interrupted = stack.enter_context(stoppable(console.heard))
        pace = Pace(stopping=lambda: interrupted() or stopping(), closed_until=hours.waiter())
        yield {
            side: stack.enter_context(lane_to(session, side, pace, connections=plan.replay.concurrency))
            for side in sides
        }


@contextmanager
def lane_to(session: Session, side: Side, pace: Pace, *, connections: int) -> Iterator[Lane]:
    """Yield a lane whose requests this side answers, whatever clients get now.

    Raise RackwrightError if the gateways don't let clients in from here.
    """
    require_client_here(session)
    gateway = session.fleet.file.gateway
    door = Door(entrance(session)[1], gateway.domain, session.trusted)
    seconds = min(MOST_SECONDS, gateway.response_timeout)
    with ExitStack() as stack:
        keys = stack.enter_context(lent_key(session, side))
        sender = stack.enter_context(gateway_sender(door, connections=connections, seconds=seconds))
        yield Lane(side, sender, keys, pace)


def require_client_here(session: Session) -> None:
    """Raise RackwrightError unless the controller may be a client: no prompt goes by another way."""
    asker = choose_asker(session)
    if not isinstance(asker, FromController):
        raise RackwrightError(
            "the gateways don't let clients in from this machine",
            where="migrate",
            should="firewall.clients_from should have this machine's network",
            next="add it, then rackwright apply; or run the command on a machine in a network of clients",
        )
