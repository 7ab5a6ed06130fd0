"""Whether an engine is what the lock says: its unit, its process, and the folders that it reads."""

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
    """Folder that it reads → digest that the folder must have been verified against."""


def identity_of(session: Session, replica: Replica, host: str) -> Identity:
    """Return what the replica's engine on this host should be, according to the lock."""
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
    """Return the weights, adapters included, that the replica's engine on this host reads, by folder."""
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
        return "it doesn't report which unit file it was started from"
    if seen.started != identity.unit:
        return "it was started from another unit file than the fleet file and the lock ask for"
    return None


def mismatches(identity: Identity, seen: Seen) -> tuple[str, ...]:
    """Return every difference between the lock and an engine with the right unit file."""
    return tuple(_differences(identity, seen))


def _differences(identity: Identity, seen: Seen) -> Iterator[str]:
    if seen.program.endswith(" (deleted)"):
        yield f"its program {seen.program.removesuffix(' (deleted)')} was replaced after it started"
    # The process of a script has its interpreter first.
    if seen.command[-len(identity.command) :] != identity.command:
        yield f"it runs {_short(seen.command, identity.command)}"
    for folder, digest in identity.folders.items():
        found = seen.markers.get(folder, "")
        if found != digest:
            verified = f"verified as {found[:16]}" if found else "never verified"
            yield f"{folder} was {verified}; the lock has {digest[:16]}"


def _short(command: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    """Return the arguments that the command shouldn't have, and those that it lacks."""
    extra = join(word for word in command if word not in wanted)
    missing = join(word for word in wanted if word not in command)
    if missing:
        return f"{extra} instead of {missing}"[:300] if extra else f"without {missing}"[:300]
    return f"{extra} in addition"[:300] if extra else "with its arguments in another order"
