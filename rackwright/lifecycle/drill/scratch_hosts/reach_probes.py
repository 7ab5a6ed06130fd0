"""Probes of the isolation, from inside and from outside. A probe that can't be made is `not run`, never `passed`."""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from rackwright.errors import RackwrightError
from rackwright.lifecycle.drill.evidence.conclusion import ISOLATED
from rackwright.lifecycle.drill.evidence.facts import Check, Outcome
from rackwright.lifecycle.drill.scratch_hosts.isolation import Closed
from rackwright.lifecycle.drill.scratch_hosts.scratch import each_outcome
from rackwright.remote.answers import read_answer
from rackwright.remote.connection import Connection
from rackwright.state.shell import command
from rackwright.values.network import Address, parse_address

PROBE = Path(__file__).with_name("probe_addresses.sh").read_text()
REACHES = "reaches the repositories"
_SECONDS = 3
_MOST = 500
Result = Literal["open", "refused", "unreachable", "no-route", "silent"]
_LINE = re.compile(
    r"([0-9A-Fa-f:.]{2,45}) ([0-9]{1,5}) (open|refused|unreachable|no-route|silent) ([0-9]{1,20}) ([0-9]{1,20})"
)


@dataclass(frozen=True)
class Place:
    """A TCP port of one machine."""

    address: Address
    port: int
    what: str
    """Like gate1's ssh."""

    def __str__(self) -> str:
        return f"{self.what} ({self.address} port {self.port})"


@dataclass(frozen=True)
class Tried:
    result: Result
    filtered: bool
    """Whether the drill's packet filter refused a packet meanwhile."""


def probe_inside(
    scratch: Mapping[str, Connection], closed: Mapping[str, Closed], production: Iterable[Place]
) -> tuple[Check, ...]:
    """Try from each scratch host what it must not reach, and as a control each repository's server.

    `production` names ports of the fleet's hosts. The controller's ssh port is added.
    """
    asked = {name: tuple(_forbidden(closed[name], production)) for name in scratch}
    controls = {name: tuple(_repositories(closed[name])) for name in scratch}
    by_name = {connection.name: name for name, connection in scratch.items()}

    def work(connection: Connection) -> tuple[Check, ...]:
        name = by_name[connection.name]
        tried = _try(connection, (*asked[name], *controls[name]), sudo=True)
        inside = (_from_inside(name, place, tried.get((place.address, place.port))) for place in asked[name])
        return (*inside, *(_control(name, place, tried.get((place.address, place.port))) for place in controls[name]))

    done = each_outcome(scratch, work)
    return tuple(check for name, one in done.items() for check in _checks(ISOLATED, name, one))


def probe_outside(
    scratch: Mapping[str, Iterable[Place]],
    production: Mapping[str, Connection],
    let_in: Mapping[str, Collection[Place]] = MappingProxyType({}),
) -> tuple[Check, ...]:
    """Try from each production host the ports of each scratch host. None may answer or refuse.

    `let_in` names what a production host may reach: this isn't tried. Nothing is sent and nothing changes there. A
    production host that can't be asked gives a check `not run`.
    """
    named = {place: name for name, some in scratch.items() for place in some}
    asked = {host: tuple(place for place in named if place not in let_in.get(host, ())) for host in production}
    done = each_outcome(production, lambda connection: _try(connection, asked[connection.name], sudo=False))
    return tuple(_from_outside(named[place], host, place, one) for host, one in done.items() for place in asked[host])


def probe_here(places: Mapping[str, Iterable[Place]], *, expected: Mapping[str, Iterable[int]]) -> tuple[Check, ...]:
    """Try the ports of each scratch host from the controller: only the `expected` ones may answer or refuse."""
    from gevent.pool import Pool

    def tried(one: tuple[str, Place]) -> Check:
        name, place = one
        return _from_here(name, place, place.port in set(expected[name]))

    # Together: each that doesn't answer takes seconds.
    return tuple(Pool(64).map(tried, [(name, place) for name, some in places.items() for place in some]))


def parse_tried(text: str) -> Mapping[tuple[Address, int], Tried]:
    """Given the output of `probe_addresses.sh`, return the results. Raise ValueError if it is damaged."""
    *lines, last = text.splitlines() or [""]
    if last != "end":
        raise ValueError("the answer is cut off")
    found: dict[tuple[Address, int], Tried] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if not match:
            raise ValueError("not a result")
        result: Result = match[3]  # type: ignore[assignment]
        found[parse_address(match[1]), int(match[2])] = Tried(result, int(match[5]) > int(match[4]))
    return found


def _try(connection: Connection, places: Iterable[Place], *, sudo: bool) -> Mapping[tuple[Address, int], Tried]:
    asked = list(dict.fromkeys((place.address, place.port) for place in places))[:_MOST]
    lines = "".join(f"{address} {port}\n" for address, port in asked)
    script = command(PROBE, "alone" if sudo else "together")
    done = connection.run(script, stdin=lines, sudo=sudo, timeout=30 + len(asked) * (_SECONDS + 1))
    return read_answer(connection.name, "its probes", parse_tried, done.check("probing").stdout)


def _forbidden(closed: Closed, production: Iterable[Place]) -> Iterator[Place]:
    """Yield what must not be reached. A repository's port on a production host is open on purpose."""
    allowed = closed.allowed
    places = (*production, Place(allowed.controller, 22, "the controller's ssh"))
    return (place for place in places if (place.address, place.port) not in allowed.servers)


def _repositories(closed: Closed) -> Iterator[Place]:
    for one, addresses in closed.opened.by_destination:
        if one.repository:
            yield from (Place(address, one.port, one.why) for address in addresses)


def _from_inside(name: str, place: Place, tried: Tried | None) -> Check:
    outcome: Outcome = "not run"
    if tried:
        stopped = tried.result == "no-route" or (tried.result == "unreachable" and tried.filtered)
        outcome = "passed" if stopped else "failed"
    said = (
        f"{tried.result}, {'refused by' if tried.filtered else 'not refused by'} the filter" if tried else "not tried"
    )
    return Check(ISOLATED, outcome, name, f"from it to {place}: {said}", "refused by the drill's packet filter")


def _control(name: str, place: Place, tried: Tried | None) -> Check:
    outcome: Outcome = "not run" if tried is None else "passed" if tried.result == "open" else "failed"
    found = f"from it to {place}: {tried.result if tried else 'not tried'}"
    return Check(REACHES, outcome, name, found, "open; otherwise the other probes prove nothing")


def _from_outside(
    name: str, host: str, place: Place, tried: Mapping[tuple[Address, int], Tried] | RackwrightError
) -> Check:
    expected = "no answer"
    if isinstance(tried, RackwrightError):
        found = f"from {host} to {place}: can't be tried: {tried.problems[0].what}"
        return Check(ISOLATED, "not run", name, found, expected)
    one = tried.get((place.address, place.port))
    outcome: Outcome = "not run" if one is None else "failed" if one.result in ("open", "refused") else "passed"
    return Check(ISOLATED, outcome, name, f"from {host} to {place}: {one.result if one else 'not tried'}", expected)


def _from_here(name: str, place: Place, may_answer: bool) -> Check:
    result = _connect(place)
    reached = result in ("open", "refused")
    outcome: Outcome = "passed" if may_answer or not reached else "failed"
    expected = "may answer" if may_answer else "no answer"
    return Check(ISOLATED, outcome, name, f"from the controller to {place}: {result}", expected)


def _connect(place: Place) -> Result:
    try:
        socket.create_connection((str(place.address), place.port), timeout=_SECONDS).close()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"
    except OSError:
        return "unreachable"
    return "open"


def _checks(check: str, name: str, done: tuple[Check, ...] | RackwrightError) -> tuple[Check, ...]:
    if isinstance(done, RackwrightError):
        return (Check(check, "not run", name, f"the probes can't be made: {done.problems[0].what}"),)
    return done
