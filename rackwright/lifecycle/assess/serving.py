"""Which models a host can serve: the fleet's, and well-known ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.fit.demand import Asked, Room
from rackwright.fit.fit import Fit
from rackwright.fit.from_fleet import asked_of
from rackwright.fit.known import Served, served_by
from rackwright.fit.remedies import changes
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.hardware.gpus import Gpu
from rackwright.hardware.hardware import Hardware
from rackwright.lifecycle.fit.procedure import memory_of
from rackwright.report.words import counted, size
from rackwright.shape.shape import ModelShape


@dataclass(frozen=True)
class Wanted:
    """A model of the fleet with the settings of one replica: one on this host if there is any."""

    model: str
    gpus: int
    """GPUs on each of the replica's hosts."""
    asked: Asked
    shape: ModelShape | None
    """None: there is no lock yet, or the lock has no shape."""
    here: bool
    """Whether it is placed on this host."""


@dataclass(frozen=True)
class Verdict:
    """Whether a host can serve a model of the fleet."""

    model: str
    gpus: int
    fits: bool | None
    """None: not known."""
    why: str


def wanted_of(fleet: Fleet, lock: Lock | None, host: str) -> tuple[Wanted, ...]:
    """Return the fleet's models, each with the GPUs of a replica here, or of its first replica if there is none."""
    return tuple(_wanted(fleet, lock, host, name) for name in fleet.file.models if fleet.replicas_of(name))


def _wanted(fleet: Fleet, lock: Lock | None, host: str, name: str) -> Wanted:
    replicas = fleet.replicas_of(name)
    here = [replica for replica in replicas if host in replica.hosts]
    one = (here or replicas)[0]
    locked = lock.models.get(name) if lock else None
    asked = asked_of(fleet.file.models[name], gpus=one.gpus, hosts=len(one.hosts))
    return Wanted(name, one.gpus, asked, locked.shape if locked else None, bool(here))


def verdicts(wanted: tuple[Wanted, ...], hardware: Hardware) -> Iterator[Verdict]:
    """Yield for each model whether the host can serve one replica of it."""
    memory = memory_of(hardware)
    cards = len(_whole(hardware)) if hardware.report else len(hardware.nvidia)
    for one in wanted:
        if one.gpus > cards:
            why = f"a replica needs {counted(one.gpus, 'GPU')}, but the host has {cards}"
            yield Verdict(one.model, one.gpus, False, why)
            continue
        room = memory.gpu if one.gpus else memory.for_engines or 0
        yield _verdict(one, room)


def _verdict(one: Wanted, room: int | None) -> Verdict:
    if one.shape is None or room is None:
        why = "the lock doesn't have its shape yet" if one.shape is None else "no driver reports the GPUs' memory yet"
        return Verdict(one.model, one.gpus, None, why)
    fit = Fit(one.shape, one.asked, Room(room, one.gpus))
    if fit.fits is None:
        return Verdict(one.model, one.gpus, None, fit.unknown or "")
    if fit.fits:
        return Verdict(one.model, one.gpus, True, f"{size(fit.left or 0)} stay free of {size(fit.budget)}")
    way_out = next((change.what for change in changes(fit)), None if fit.refused else "it needs more memory")
    why = "; ".join(text for text in (fit.refused or "too large", way_out) if text)
    return Verdict(one.model, one.gpus, False, why)


def well_known(wanted: tuple[Wanted, ...], hardware: Hardware, *, stranger: bool) -> tuple[Served, ...]:
    """Return the well-known models that it can serve; none for a host that doesn't serve models."""
    memory = memory_of(hardware)
    if cards := _whole(hardware):
        return served_by(memory.gpu, len(cards), 0)
    serves = stranger or any(one.here for one in wanted)
    if hardware.nvidia or not serves:
        return ()
    return served_by(None, 0, memory.for_engines or 0)


def _whole(hardware: Hardware) -> tuple[Gpu, ...]:
    """Return the cards that the driver reports, except those that are partitioned with MIG."""
    return tuple(card for card in hardware.report.gpus if not card.mig) if hardware.report else ()
