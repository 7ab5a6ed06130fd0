"""Remove weights that nothing needs any more. Weights that an engine uses stay, whatever the lock says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rackwright.errors import HostError
from rackwright.lifecycle.prune.needed import Keep, Kept, needed
from rackwright.lifecycle.prune.scripts import LOOK, REMOVE, Found, Weights, parse, removed
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_leased_act
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import leased
from rackwright.remote.answers import read_answer
from rackwright.report.words import counted, duration, size
from rackwright.state.shell import command

Some = TypeVar("Some")
SECONDS = 600
"""Timeout for one host."""


@dataclass(frozen=True)
class Pruned:
    """The result, by host."""

    removed: Mapping[str, tuple[Weights, ...]] = field(default_factory=dict)
    """Weights that were removed; in a rehearsal, those that would be."""
    kept: Mapping[str, tuple[Kept, ...]] = field(default_factory=dict)
    """Weights that stay."""
    strange: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Folders that stay, because rackwright didn't create them."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why unneeded weights are left on a host."""

    @property
    def bytes(self) -> int:
        return sum(one.bytes for some in self.removed.values() for one in some)


def prune(session: Session, console: Console, *, rehearsed: bool = False) -> Pruned:
    """Remove rackwright's weights that are neither needed nor in use; write it to each host's audit log.

    `rehearsed`: remove nothing. The problems name each host that is unreachable or keeps unneeded weights.
    Raise LeasedError if another operator is at work or a rollout is open, FleetError if a lock can't be read,
    RackwrightError if the operator doesn't agree.
    """
    with leased(session, "model prune", console) as lease_session:
        keep = needed(session)
        found, problems = _look(session)
        found = {host: _alone(session, host, found, console) for host in found}
        unneeded = _without_empty({host: _unneeded(keep, has) for host, has in found.items()})
        kept = _without_empty({host: _kept(keep, has) for host, has in found.items()})
        strange = _without_empty({host: has.strange for host, has in found.items()})
        _show(session, unneeded, kept, strange, console)
        if rehearsed or not unneeded:
            return Pruned(unneeded, kept, strange, problems)
        console.confirm(f"Remove {counted(sum(map(len, unneeded.values())), 'item', 'items')}?")

        def remove(host: str) -> tuple[tuple[Weights, ...], str | None]:
            lease_session.check()
            gone, problem = _remove(session, host, unneeded[host])
            what = "removed " + (", ".join(one.path for one in gone) or "nothing")
            note_leased_act(session, lease_session, (host,), what, f"failed: {problem}" if problem else "done")
            return gone, problem

        done = session.remote.each(unneeded, remove)
    problems |= {host: problem for host, (_, problem) in done.items() if problem}
    return Pruned(_without_empty({host: gone for host, (gone, _) in done.items()}), kept, strange, problems)


def _unneeded(keep: Keep, found: Found) -> tuple[Weights, ...]:
    return tuple(one for one in found.weights if keep.reason(one) is None)


def _kept(keep: Keep, found: Found) -> tuple[Kept, ...]:
    return tuple(Kept(one, why) for one in found.weights if (why := keep.reason(one)))


def _without_empty(found: Mapping[str, tuple[Some, ...]]) -> dict[str, tuple[Some, ...]]:
    return {host: some for host, some in found.items() if some}


def _look(session: Session) -> tuple[dict[str, Found], dict[str, str]]:
    roots = {host: _root(session, host) for host in session.hosts}
    answers = session.remote.run_on(
        roots, {host: command(LOOK, root) for host, root in roots.items()}, timeout=SECONDS
    )
    found: dict[str, Found] = {}
    problems: dict[str, str] = {}
    for host, answer in answers.items():
        try:
            if isinstance(answer, HostError):
                raise answer
            output = answer.check("listing the weights").stdout
            found[host] = read_answer(host, "listing the weights", parse, output, roots[host])
        except HostError as error:
            problems[host] = error.problems[0].what
    return found, problems


def _alone(session: Session, host: str, found: Mapping[str, Found], console: Console) -> Found:
    """Return the weights that this host may remove. In a shared folder, those that no sharing host uses."""
    store, hosts = session.fleet.file.hosts[host].store, session.fleet.file.hosts
    if store.shared == "no":
        return found[host]
    sharing = [name for name in session.fleet.hosts if hosts[name].store == store]
    if missed := [name for name in sharing if name not in found]:
        console.say(
            f"{host}: {store.path} is shared with {', '.join(missed)}, which was not surveyed: all weights there stay"
        )
        return Found()
    # A host that doesn't serve, such as a gateway, may not even have mounted the folder.
    if host != next((name for name in sharing if session.fleet.parts_on(name)), sharing[0]):
        return Found()
    used = {one.path for name in sharing for one in found[name].weights if one.used}
    return replace(found[host], weights=tuple(replace(one, used=one.path in used) for one in found[host].weights))


def _remove(session: Session, host: str, unneeded: tuple[Weights, ...]) -> tuple[tuple[Weights, ...], str | None]:
    """Return the weights that were removed, and why others weren't."""
    words = command(REMOVE, _root(session, host), *(one.path for one in unneeded))
    try:
        answer = session.remote.connection(host).run(words, timeout=SECONDS)
    except HostError as error:
        return (), error.problems[0].what
    paths = set(removed(answer.stdout))
    problem = None if answer.ok else "; ".join(answer.last_lines(3)) or "its weights could not be removed"
    return tuple(one for one in unneeded if one.path in paths), problem


def _root(session: Session, host: str) -> str:
    return session.fleet.file.hosts[host].store.path


def _show(
    session: Session,
    unneeded: Mapping[str, tuple[Weights, ...]],
    kept: Mapping[str, tuple[Kept, ...]],
    strange: Mapping[str, tuple[str, ...]],
    console: Console,
) -> None:
    for host, stays in kept.items():
        for each in stays:
            console.say(f"{host}: {described(each.weights)}: stays, because {each.why}")
    for host, some in unneeded.items():
        for one in some:
            console.say(f"{host}: {described(one)}: nothing needs it")
    for host, folders in strange.items():
        for folder in folders:
            console.say(f"{host}: {folder} in {_root(session, host)} isn't marked as rackwright's: it stays")


def described(weights: Weights) -> str:
    """Return one line about these weights."""
    what = f"{weights.model} {weights.digest}" if weights.model else f"an unfinished download {weights.digest[:16]}"
    return f"{what}, {size(weights.bytes)}, {duration(weights.age)} old"
