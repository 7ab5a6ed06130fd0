"""Which weights the locks need, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rackwright.fleet.lock import Lock, ModelLock
from rackwright.fleet.lock_file import NEXT, read_lock
from rackwright.fleet.yaml_file import read_stored
from rackwright.lifecycle.prune.scripts import Weights
from rackwright.lifecycle.session.last_applied import last_applied
from rackwright.lifecycle.session.session import Session


@dataclass(frozen=True)
class Need:
    why: str
    digests: frozenset[str]
    """Digests of models and adapters."""
    files: frozenset[str]
    """sha256 of each of their files: one that was already fetched is kept."""

    def covers(self, weights: Weights) -> bool:
        return weights.digest in self.files or any(digest.startswith(weights.digest) for digest in self.digests)


@dataclass(frozen=True)
class Keep:
    needs: tuple[Need, ...]

    def reason(self, weights: Weights) -> str | None:
        """Return why the weights stay; None: nothing needs them."""
        if weights.used:
            return "an engine uses it"
        return next((need.why for need in self.needs if need.covers(weights)), None)


@dataclass(frozen=True)
class Kept:
    """Weights that stay."""

    weights: Weights
    why: str


def needed(session: Session) -> Keep:
    """Return what is needed by the lock, by the next lock if a rollout left one, and by the lock applied last.

    The last applied lock counts too, because this checkout may be older. Raise FleetError if a lock can't be read.
    """
    lock, following = session.fleet.sibling("lock"), session.fleet.sibling(NEXT)
    needs = list(needs_of(session.lock, f"{lock.name} names it"))
    if following.exists():
        # No rollout is open, or prune would refuse.
        left = f"{following.name} names it, which a rollout has left; remove that file if you don't need it"
        needs += needs_of(read_lock(following), left)
    for applied in _applied(session):
        needs += needs_of(applied, "the lock that was applied last names it")
    return Keep(tuple(needs))


def needs_of(lock: Lock, why: str) -> tuple[Need, ...]:
    """Return what this lock needs, with the previous versions, which a rollback needs."""
    before = [model.previous for model in lock.models.values() if model.previous]
    return (_need(why, lock.models.values()), _need("it is the version before, for model rollback", before))


def _need(why: str, models: Iterable[ModelLock]) -> Need:
    sources = [source for model in models for source in model.whole]
    digests = frozenset(source.digest for source in sources)
    return Need(why, digests, frozenset(file.sha256 for source in sources for file in source.files))


def _applied(session: Session) -> Iterator[Lock]:
    applied = last_applied(session.remote, session.fleet)
    content = applied and applied.files.get(str(Path(applied.about.fleet_file).with_suffix(".lock")))
    if not content:
        return
    with TemporaryDirectory(prefix="rackwright-") as folder:
        path = Path(folder, "applied.lock")
        path.write_bytes(content)
        # Only its digests are used, so what it names needn't be what this rackwright would lock.
        yield read_stored(path, "lock", Lock, restore="rackwright apply")
