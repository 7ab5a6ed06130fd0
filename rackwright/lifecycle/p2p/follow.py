"""Watch each host of a peer-to-peer transfer until it has the files or is given up."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from rackwright.errors import HostError
from rackwright.lifecycle.p2p import unit
from rackwright.lifecycle.p2p.chain import before, gaps, overtaken
from rackwright.lifecycle.p2p.transfer import Transfer
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.roles.p2p.settings import Settings
from rackwright.stopping import Stopping

POLL_SECONDS = 1.0
SOON_SECONDS = 0.25
"""Poll interval near the end, so that a finished host is noticed at once."""
LOST_SECONDS = 30
"""A host that has been unreachable for this long is given up, so that the others don't wait for it."""
STILL_SECONDS = 60
"""A host that has received nothing for this long is given up if another host has finished."""


@dataclass
class Course:
    """A running peer-to-peer transfer."""

    transfer: Transfer
    order: tuple[str, ...]
    settings: dict[str, Settings]
    arrived: dict[str, int] = field(default_factory=dict)
    gaps_before: dict[str, int] = field(default_factory=dict)
    """Host → bytes that it was behind the one before it when this order started."""
    done: dict[str, float] = field(default_factory=dict)
    """Host → seconds that its transfer took."""
    failed: dict[str, str] = field(default_factory=dict)
    """Host → why it was given up."""

    @property
    def open(self) -> tuple[str, ...]:
        return tuple(host for host in self.order[1:] if host not in self.done and host not in self.failed)

    def peers(self, host: str) -> tuple[Settings, ...]:
        return tuple(self.settings[one] for one in before(self.order, host))


def follow(
    session: Session, course: Course, console: Console, stopping: Stopping, clock: Callable[[], float]
) -> None:
    """Return when every host is done or has failed (`course` says which), or when the operator stops."""
    start = clock()
    course.arrived = dict.fromkeys(course.order, 0) | {course.order[0]: course.transfer.bytes}
    session.remote.each(course.open, lambda host: _follow(session, course, console, stopping, clock, start, host))


def _follow(
    session: Session,
    course: Course,
    console: Console,
    stopping: Stopping,
    clock: Callable[[], float],
    start: float,
    host: str,
) -> None:
    transfer, heard, moved = course.transfer, clock(), clock()
    shell = session.remote.connection(host)
    while not stopping():
        try:
            status = unit.look(shell)
            heard = clock()
        except HostError as error:
            if clock() - heard > LOST_SECONDS:
                _failed(course, console, host, error.problems[0].what)
                return
            time.sleep(POLL_SECONDS)
            continue
        if status.bytes > course.arrived[host]:
            moved = clock()
            course.arrived[host] = status.bytes
        console.arriving(host, transfer.what, status.bytes, transfer.bytes, status.rate)
        if status.state == "done":
            course.arrived[host], course.done[host] = transfer.bytes, clock() - start
            console.say(f"{host}: {transfer.what} has arrived")
            return
        if why := _hopeless(course, status, clock() - moved):
            _failed(course, console, host, why)
            return
        _let_others_pass(session, course)
        near = status.bytes + 2 * POLL_SECONDS * status.rate >= transfer.bytes
        time.sleep(SOON_SECONDS if near else POLL_SECONDS)


def _failed(course: Course, console: Console, host: str, why: str) -> None:
    course.failed[host] = why
    console.say(f"{host}: {course.transfer.what} didn't arrive: {why}")


def _hopeless(course: Course, status: unit.Status, still: float) -> str | None:
    if status.state in ("ended", "failed"):
        return status.why
    if status.state != "hashing" and still > STILL_SECONDS and course.done:
        return f"has received nothing for {still:.0f} s"
    return None


def _let_others_pass(session: Session, course: Course) -> None:
    """Move a slow host to the end of the order, and send the hosts that move up their new peers."""
    order = overtaken(course.order, course.arrived, course.transfer.bytes, course.gaps_before)
    if order == course.order:
        return
    earlier = {host: course.peers(host) for host in course.open}
    course.order, course.gaps_before = order, gaps(order, course.arrived)
    for host in course.open:
        if course.peers(host) != earlier[host]:
            with suppress(HostError):
                unit.ask_others(session.remote.connection(host), course.peers(host))
