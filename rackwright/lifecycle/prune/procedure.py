"""Remove weights that nothing needs any more. Weights that an engine uses stay, whatever the lock says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rackwright.errors import HostError
from rackwright.fleet.lock import Lock
from rackwright.fleet.lock_file import NEXT, read_lock
from rackwright.fleet.yaml_file import read_stored
from rackwright.lifecycle.prune.scripts import LOOK, REMOVE, Found, Weights, parse, removed
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_leased_act
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import leased
from rackwright.remote.answers import read_answer
from rackwright.report.words import counted, duration, size
from rackwright.state.applied import read_applied
from rackwright.state.shell import command

SECONDS = 600
"""Timeout for one host."""


@dataclass(frozen=True)
class Keep:
    """What the locks need."""

    digests: frozenset[str]
    """Digests of models and adapters."""
    files: frozenset[str]
    """sha256 of each of their files: one that was already fetched is kept."""

    def needs(self, weights: Weights) -> bool:
        if weights.digest in self.files:
            return True
        return weights.used or any(digest.startswith(weights.digest) for digest in self.digests)


@dataclass(frozen=True)
class Pruned:
    """The result, by host."""

    removed: Mapping[str, tuple[Weights, ...]] = field(default_factory=dict)
    """Weights that were removed; in a rehearsal, those that would be."""
    strange: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Folders that stay, because rackwright didn't create them."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why unneeded weights are left on a host."""

    @property
    def bytes(self) -> int:
        return sum(one.bytes for some in self.removed.values() for one in some)


def needed(session: Session) -> Keep:
    """Return what is needed by the lock, by the next lock if a rollout left one, and by the lock applied last.

    The last applied lock counts too, because this checkout may be older. Raise FleetError if a lock can't be read.
    """
    return needed_by(session.lock, *_next(session.fleet.sibling(NEXT)), *_applied(session))


def needed_by(*locks: Lock) -> Keep:
    """Return what these locks need, including the previous versions, which a rollback needs."""
    models = [model for lock in locks for model in lock.models.values()]
    kept = [*models, *(model.previous for model in models if model.previous)]
    sources = [source for model in kept for source in model.whole]
    return Keep(
        frozenset(source.digest for source in sources),
        frozenset(file.sha256 for source in sources for file in source.files),
    )


def _next(path: Path) -> Iterable[Lock]:
    return (read_lock(path),) if path.exists() else ()


def _applied(session: Session) -> Iterable[Lock]:
    applied = read_applied(session.remote.connection(session.fleet.control[0]))
    content = applied and applied.files.get(str(Path(applied.about.fleet_file).with_suffix(".lock")))
    if not content:
        return ()
    with TemporaryDirectory(prefix="rackwright-") as folder:
        path = Path(folder, "applied.lock")
        path.write_bytes(content)
        # Only its digests are used, so what it names needn't be what this rackwright would lock.
        return (read_stored(path, "lock", Lock, restore="rackwright apply"),)


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
        unneeded = {host: tuple(one for one in has.weights if not keep.needs(one)) for host, has in found.items()}
        unneeded = {host: some for host, some in unneeded.items() if some}
        strange = {host: has.strange for host, has in found.items() if has.strange}
        _show(session, unneeded, strange, console)
        if rehearsed or not unneeded:
            return Pruned(unneeded, strange, problems)
        console.confirm(f"Remove {counted(sum(map(len, unneeded.values())), 'item', 'items')}?")

        def remove(host: str) -> tuple[tuple[Weights, ...], str | None]:
            lease_session.check()
            gone, problem = _remove(session, host, unneeded[host])
            what = "removed " + (", ".join(one.path for one in gone) or "nothing")
            note_leased_act(session, lease_session, (host,), what, f"failed: {problem}" if problem else "done")
            return gone, problem

        done = session.remote.each(unneeded, remove)
    problems |= {host: problem for host, (_, problem) in done.items() if problem}
    return Pruned({host: gone for host, (gone, _) in done.items() if gone}, strange, problems)


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
    strange: Mapping[str, tuple[str, ...]],
    console: Console,
) -> None:
    for host, some in unneeded.items():
        for one in some:
            console.say(f"{host}: {described(one)}")
    for host, folders in strange.items():
        for folder in folders:
            console.say(f"{host}: {folder} in {_root(session, host)} isn't marked as rackwright's: it stays")


def described(weights: Weights) -> str:
    """Return one line about these weights."""
    what = f"{weights.model} {weights.digest}" if weights.model else f"an unfinished download {weights.digest[:16]}"
    return f"{what}, {size(weights.bytes)}, {duration(weights.age)} old"
