"""Fetch each missing model to one host, and copy it from there from host to host."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from secrets import token_hex

from rackwright.errors import HostError, RackwrightError, SecretError
from rackwright.lifecycle.p2p import unit
from rackwright.lifecycle.p2p.chain import chain, first_of
from rackwright.lifecycle.p2p.follow import Course, follow
from rackwright.lifecycle.p2p.transfer import Has, Transfer, look, transfers
from rackwright.lifecycle.p2p.unit import Part
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.roles.p2p.settings import Settings
from rackwright.stopping import Stopping

Fetch = Callable[[str], bool]
"""Make this host fetch its weights from their source; return whether it succeeded."""
_CERTIFICATE_DAYS = 1
_TORRENT_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Transferred:
    """The result for one model."""

    model: str
    digest: str
    bytes: int
    first: str
    """The host that the others copied from."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Host → seconds until the weights had arrived and were hashed."""
    failed: dict[str, str] = field(default_factory=dict)
    """Host → why it doesn't have the model; it may still fetch it from the source."""


def transfer(
    session: Session, hosts: Iterable[str], console: Console, stopping: Stopping, fetch: Fetch
) -> tuple[Transferred, ...]:
    """Copy the weights of their models to these hosts, from host to host; return what was transferred.

    If no host has a model, one of them fetches it first. The others don't wait for a host that is lost or too slow:
    it is reported, and must fetch from the source. Afterwards nothing else is left on any host, except files that
    arrived only in part.
    """
    return tuple(
        transferred
        for one in transfers(session, hosts)
        if not stopping() and (transferred := _transfer(session, one, console, stopping, fetch))
    )


def _transfer(
    session: Session, transfer: Transfer, console: Console, stopping: Stopping, fetch: Fetch
) -> Transferred | None:
    found = look(session, transfer)
    has = {host: one for host, one in found.items() if isinstance(one, Has)}
    whole = [host for host, one in has.items() if one.whole]
    lacking = [host for host, one in has.items() if not one.whole]
    lost = {host: one.problems[0].what for host, one in found.items() if isinstance(one, HostError)}
    lost |= {host: why for host in lacking if (why := has[host].refuses(transfer, host))}
    lacking = [host for host in lacking if host not in lost]
    if not lacking or len(whole) + len(lacking) < 2:
        return None
    section = session.fleet.file.p2p
    first = first_of([*whole, *lacking], whole, section.from_ if section else None)
    if first not in whole and not fetch(first):
        console.say(f"{transfer.what}: {first} could not fetch it, so each host fetches it from the source")
        return None
    order = chain([host for host in lacking if host != first], first)
    if len(order) < 2:
        return None
    course = Course(transfer, order, _settings(session, order), failed=lost)
    _move(session, course, console, stopping)
    return Transferred(transfer.model.name, transfer.model.digest, transfer.bytes, first, course.done, course.failed)


def _settings(session: Session, hosts: Iterable[str]) -> dict[str, Settings]:
    return {host: settings for host in hosts if (settings := session.hosts[host].p2p)}


def _move(session: Session, course: Course, console: Console, stopping: Stopping) -> None:
    name = f"p2p-{course.transfer.model.digest[:16]}-{token_hex(8)}"
    first = course.order[0]
    console.say(f"{course.transfer.what}: {' → '.join(course.order)}")
    try:
        parts = {host: _part(session, course, name, host) for host in course.order}
    except SecretError as error:
        console.say(f"{course.transfer.what}: each host fetches it from the source: {error.problems[0]}")
        course.failed |= dict.fromkeys(course.order[1:], "no certificate")
        return
    try:
        console.say(f"{first}: reading {course.transfer.bytes / 1e9:.2f} GB")
        torrent = _begin(session, parts[first], stopping)
        if torrent is None:
            return
        _join(session, course, parts, torrent, console)
        follow(session, course, console, stopping, time.monotonic)
    except HostError as error:
        why = f"{first}, which the others copy from: {error.problems[0].what}"
        course.failed |= dict.fromkeys(course.open, why)
        console.say(f"{course.transfer.what}: {why}; each host fetches it from the source")
    finally:
        _end(session, course, stopping)


def _part(session: Session, course: Course, name: str, host: str) -> Part:
    issuer = session.hosts[host].credentials.issuer
    if issuer is None:
        raise SecretError("this run can't issue certificates", where=host)
    # The certificate's name is the torrent's, so it isn't valid for any other transfer.
    issued = issuer.issue((name,), client=True, days=_CERTIFICATE_DAYS)
    return Part(
        host=host,
        settings=course.settings[host],
        transfer=course.transfer,
        first=host == course.order[0],
        torrent_name=name,
        issued=issued,
        ca_pem=issuer.ca_pem,
        peers=course.peers(host),
    )


def _begin(session: Session, part: Part, stopping: Stopping) -> bytes | None:
    """Return the first host's torrent; None if the operator stopped before it was made."""
    shell = session.remote.connection(part.host)
    unit.start(shell, part)
    while not stopping():
        if torrent := unit.torrent_of(shell):
            return torrent
        time.sleep(_TORRENT_POLL_SECONDS)
    return None


def _join(session: Session, course: Course, parts: dict[str, Part], torrent: bytes, console: Console) -> None:
    def join(host: str) -> None:
        try:
            unit.start(session.remote.connection(host), replace(parts[host], torrent=torrent))
        except HostError as error:
            course.failed[host] = error.problems[0].what
            console.say(f"{host}: can't transfer {course.transfer.what}: {course.failed[host]}")

    session.remote.each(course.order[1:], join)


def _end(session: Session, course: Course, stopping: Stopping) -> None:
    """End the unit on every reachable host, put complete models in place, and keep incomplete ones for the next time.

    Incomplete files are removed on a host that must now fetch from the source and has no space for both.
    """

    def end(host: str) -> None:
        shell = session.remote.connection(host)
        try:
            if host == course.order[0]:
                unit.clean(shell, course.transfer)
            elif host in course.done:
                unit.place(shell, course.transfer)
            elif stopping():
                unit.stop(shell)
            else:
                unit.give_up(shell, course.transfer)
        except RackwrightError as error:
            if host in course.done:
                del course.done[host]
                course.failed[host] = error.problems[0].what

    with suppress(HostError):
        session.remote.each(course.order, end)
