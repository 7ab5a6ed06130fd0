"""The lock that was applied last, as the control hosts keep it: whether it may replace the one here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from tempfile import TemporaryDirectory

from rackwright.errors import FleetError, Problem, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.lock_file import mismatches, read_lock
from rackwright.fleet.targets import targets
from rackwright.fleet.yaml_file import LIMIT, replace_file
from rackwright.lifecycle.session.control_host import any_control_host, refuse_moved
from rackwright.lifecycle.session.last_applied import last_applied
from rackwright.state.applied import About, Applied, lock_in
from rackwright.state.checkout import in_head
from rackwright.state.control import read_control
from rackwright.state.formats import stamp
from rackwright.state.replaced_locks import digest

_COMMAND = "rackwright lock --applied"


@dataclass(frozen=True)
class AppliedLock:
    path: Path
    """The lock here, which it may replace."""
    about: About
    content: bytes
    lock: Lock
    before: Lock | None
    """None: there is no lock here, or it can't be read."""
    difference: tuple[str, ...]
    """Lines of a unified diff from the lock here; empty if they are the same."""

    @property
    def said(self) -> str:
        """Who applied it, when and in which run."""
        return f"applied by {self.about.who} at {stamp(self.about.when)} (run {self.about.run})"


def fetch_applied(fleet: Fleet) -> Applied:
    """Return what was applied last, from the copy that most control hosts have.

    Raise LeasedError if other hosts are the control hosts now, HostError if none can be reached, RackwrightError if
    nothing was applied yet.
    """
    from rackwright.remote import Remote

    with Remote(targets(fleet, fleet.control)) as remote:
        refuse_moved(fleet, read_control(any_control_host(remote, fleet)))
        applied = last_applied(remote, fleet)
    if applied is None or lock_in(applied) is None:
        raise RackwrightError("no lock was applied yet", where=str(fleet.path), next="rackwright lock, then apply")
    return applied


def compare_lock(fleet: Fleet, applied: Applied) -> AppliedLock:
    """Compare the applied lock with the one here. This changes nothing.

    Raise FleetError if the applied lock is damaged, doesn't answer this fleet file, or lacks changes that the lock
    here has.
    """
    path, content = fleet.sibling("lock"), lock_in(applied) or b""
    here = path.read_bytes() if path.exists() else None
    lock = _usable(content, path)
    _refuse_other_fleet_file(fleet, applied.about, lock)
    before = None if here is None else _readable(here)
    if before and here != content:
        _refuse_lost(path, applied.about, here or b"", before, lock)
    return AppliedLock(path, applied.about, content, lock, before, tuple(_difference(here or b"", content)))


def write_applied_lock(found: AppliedLock) -> None:
    """Write it as it was applied, byte by byte, in place of the lock here. Raise RackwrightError if that fails."""
    try:
        replace_file(found.path, found.content, mode=0o644)
    except OSError as error:
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(found.path)) from None


def changed_entries(before: Lock, after: Lock) -> tuple[str, ...]:
    """Return the entries of `before` that `after` lacks or has otherwise, and those that only `after` has."""
    old, new = dict(_entries(before)), dict(_entries(after))
    return tuple(name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name))


def parsed_lock(content: bytes) -> Lock:
    """Return the lock with this content. Raise FleetError if `read_lock` would refuse it."""
    if len(content) > LIMIT:
        raise FleetError([Problem("", f"has more than {LIMIT} bytes")])
    with TemporaryDirectory() as folder:
        file = Path(folder) / "applied.lock"
        file.write_bytes(content)
        return read_lock(file)


def _usable(content: bytes, path: Path) -> Lock:
    try:
        return parsed_lock(content)
    except FleetError as error:
        what = "the applied lock, as the control hosts keep it, can't be used"
        listed = tuple(problem.what for problem in error.problems)
        raise FleetError(
            [Problem(str(path), what, "the lock here is unchanged", "rackwright status", listed)]
        ) from None


def _readable(content: bytes) -> Lock | None:
    try:
        return parsed_lock(content)
    except FleetError:
        return None


def _refuse_other_fleet_file(fleet: Fleet, about: About, lock: Lock) -> None:
    found = mismatches(fleet, lock)
    if not found:
        return
    where = f"the fleet file of commit {about.commit[:12]}" if about.commit else f"the fleet file of {about.who}"
    raise FleetError(
        [
            Problem(
                str(fleet.path),
                f"the applied lock doesn't answer this fleet file: it belongs to {where}",
                "changes of the fleet file come after the applied lock",
                f"git pull; or undo these changes, {_COMMAND}, then change the fleet file and rackwright lock",
                tuple(f"{problem.where}: {problem.what}" for problem in found),
            )
        ]
    )


def _refuse_lost(path: Path, about: About, here: bytes, before: Lock, after: Lock) -> None:
    """Raise FleetError if the lock here has entries that neither the applied one has nor one that it replaced."""
    if digest(here) in about.replaced:
        return
    committed = in_head(path)
    known = committed is not None and digest(committed) in about.replaced
    base = dict(_entries(_readable(committed))) if known and committed else {}
    mine = dict(_entries(before))
    lost = [name for name in changed_entries(before, after) if name in mine and mine[name] != base.get(name)]
    if lost:
        raise FleetError(
            [
                Problem(
                    str(path),
                    "has changes that the applied lock lacks",
                    "it would lose them",
                    f"move it away, then {_COMMAND}; or apply it, if it is the newer one",
                    tuple(lost),
                )
            ]
        )


def _entries(lock: Lock | None) -> Iterator[tuple[str, object]]:
    """Yield each part of a lock that can change separately, with its name for a person."""
    if lock is None:
        return
    yield from ((f"model {name}", model) for name, model in lock.models.items())
    yield from ((f"runtime {name}", runtime) for name, runtime in lock.runtimes.items())
    for driver in lock.drivers.values():
        yield from ((f"driver of {host}", driver.set.name) for host in driver.hosts)
    yield from ((f"ports of {host}", ports) for host, ports in lock.ports.items())
    yield "control hosts", lock.control
    others = {*type(lock).model_fields} - {"format", "fleet", "models", "runtimes", "drivers", "ports", "control"}
    yield from ((name, getattr(lock, name)) for name in sorted(others))


def _difference(here: bytes, content: bytes) -> Iterator[str]:
    before, after = (text.decode(errors="replace").splitlines() for text in (here, content))
    return unified_diff(before, after, "lock here", "applied lock", lineterm="")
