"""Which locks were replaced by runs that promoted another: a checkout that still has one of them is older. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import PurePosixPath

from rackwright.fleet.public_files import KEYS, TRUSTED
from rackwright.state.applied import Applied, lock_in

_MOST = 50
"""A checkout that lags behind by more promotions is asked about, as one whose age git doesn't know."""


def following(applied: Applied, former: Applied | None, *, promotes: bool) -> Applied:
    """Return what control hosts must store, given what was applied before it.

    `promotes`: a run has written the lock, not a person. Then the commit of before counts if nothing else changed: a
    tool without git has none, and neither has the commit of a checkout the new lock.
    """
    if former is None:
        return applied
    now, before = lock_in(applied), lock_in(former)
    replaced = (*former.about.replaced, *((digest(before),) if promotes and before is not None else ()))
    known = tuple(dict.fromkeys(one for one in replaced if now is None or one != digest(now)))
    about = applied.about.model_copy(update={"replaced": known[-_MOST:]})
    if promotes and former.about.commit and _besides_lock(applied) == _besides_lock(former):
        about = about.model_copy(
            update={
                "commit": former.about.commit,
                "inside": former.about.inside,
                "dirty": True,
                "only_lock": former.about.only_lock or not former.about.dirty,
            }
        )
    return replace(applied, about=about)


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def _besides_lock(applied: Applied) -> Mapping[str, bytes]:
    """Return the files that operators commit, without lock and keys file: commands change these at any time."""
    path = PurePosixPath(applied.about.fleet_file)
    left_out = {str(path.with_suffix(f".{suffix}")) for suffix in ("lock", KEYS, *TRUSTED)}
    return {name: content for name, content in applied.files.items() if name not in left_out}
