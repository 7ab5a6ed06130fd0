"""Whether an engine is what the lock says: its unit, its process, and the folders that it runs from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import join

from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.session.replica_units import unit_of
from rackwright.lifecycle.session.session import Session
from rackwright.roles.model_store.settings import StoredModel
from rackwright.roles.replica.proof import Seen
from rackwright.roles.replica.unit import render


@dataclass(frozen=True)
class Identity:
    """What one engine should be."""

    unit: str
    """sha256 of its unit file."""
    command: tuple[str, ...]
    folders: Mapping[str, str]
    """Folder that it runs from → digest that it must have been verified as."""


def identity_of(session: Session, replica: Replica, host: str) -> Identity:
    """Return what the replica's engine on this host should be, by the lock."""
    unit = unit_of(session, replica, host)
    key = session.fleet.file.models[replica.model].runtime.key
    runtimes = {
        one.settings.folder: one.lock.digest for one in session.hosts[host].runtimes if one.settings.key == key
    }
    return Identity(
        unit=hashlib.sha256(render(unit).encode()).hexdigest(),
        command=unit.command,
        folders=runtimes | {folder: model.digest for folder, model in stored_for(session, replica, host).items()},
    )


def stored_for(session: Session, replica: Replica, host: str) -> dict[str, StoredModel]:
    """Return the weights that the replica's engine on this host reads, its adapters' too, by folder."""
    store = session.hosts[host].model_store
    models = store.models if store else ()
    return {store.folder(model): model for model in models if store and model.name == replica.model}


def not_yet(identity: Identity, seen: Seen) -> str | None:
    """Return why the engine can't be judged now, or None."""
    if not seen.runs or seen.active != "active":
        return f"its unit is {seen.active}"
    if not seen.command:
        return "its process has just ended"
    if seen.started is None:
        return "it doesn't say which unit it was started on"
    return None if seen.started == identity.unit else "it runs on another unit than the fleet and its lock ask for"


def mismatches(identity: Identity, seen: Seen) -> tuple[str, ...]:
    """Return everything in which an engine with the right unit is not what the lock says."""
    return tuple(_otherwise(identity, seen))


def _otherwise(identity: Identity, seen: Seen) -> Iterator[str]:
    if seen.program.endswith(" (deleted)"):
        yield f"its program {seen.program.removesuffix(' (deleted)')} was replaced since it started"
    # A script's process has its interpreter in front.
    if seen.command[-len(identity.command) :] != identity.command:
        yield f"it runs {_short(seen.command, identity.command)}"
    for folder, digest in identity.folders.items():
        found = seen.markers.get(folder, "")
        if found != digest:
            yield f"{folder} was {f'verified as {found[:16]}' if found else 'never verified'}, not as {digest[:16]}"


def _short(command: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    """The words that are there and not wanted, and those that are wanted and not there."""
    there = join(word for word in command if word not in wanted) or "what it should"
    missing = join(word for word in wanted if word not in command)
    return f"{there}{f' in place of {missing}' if missing else ' besides or in another order'}"[:300]
