"""What hosts need from the sources in the lock, and whether their backups save it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock, RuntimeLock, SourceLock, driver_of
from rackwright.fleet.sections.backup import Backup
from rackwright.fleet.source import FileSource, HubSource, parse_source
from rackwright.package_set import Package
from rackwright.values.file import File


@dataclass(frozen=True)
class Need:
    """Files in the lock that hosts need together."""

    place: str
    """Its place in the lock, like models.assistant."""
    hosts: tuple[str, ...]
    """The hosts that need it."""
    files: tuple[File, ...]
    """Those on the controller have absolute paths."""
    setting: str
    """The key of `backup` in the fleet file that saves such files; empty if no backup saves them."""
    saved: bool
    """Whether the hosts' backups save them."""
    hub: HubSource | None = None
    """The repository, with the commit in the lock as revision, if the files come from a hub."""

    @property
    def kind(self) -> str:
        """models, runtimes, drivers or tool."""
        return self.place.partition(".")[0]


def needs_of(fleet: Fleet, lock: Lock, hosts: tuple[str, ...]) -> tuple[Need, ...]:
    """Return everything in the lock that one of these hosts needs."""
    return (
        *_weights(fleet, lock, hosts),
        *_runtimes(fleet, lock, hosts),
        *_drivers(fleet, lock, hosts),
        *_tool(fleet, lock, hosts),
    )


def _weights(fleet: Fleet, lock: Lock, hosts: tuple[str, ...]) -> Iterator[Need]:
    for name, model in lock.models.items():
        there = _there(fleet, hosts, {name})
        for stored in model.whole if there else ():
            yield _stored(fleet, f"models.{name}", there, stored)
        for stored in model.previous.whole if there and model.previous else ():
            # Earlier weights that came from the controller are on the hosts, and often overwritten here.
            if not isinstance(parse_source(stored.source), FileSource):
                yield _stored(fleet, f"models.{name}.previous", there, stored)


def _stored(fleet: Fleet, place: str, hosts: tuple[str, ...], stored: SourceLock) -> Need:
    source = parse_source(stored.source)
    local = isinstance(source, FileSource)
    return Need(
        place=place,
        hosts=hosts,
        files=fleet.located(stored.files),
        setting="models" if local else "",
        saved=local and _saves(fleet.file.backup, "models"),
        hub=HubSource(source.repository, stored.revision or "") if isinstance(source, HubSource) else None,
    )


def _runtimes(fleet: Fleet, lock: Lock, hosts: tuple[str, ...]) -> Iterator[Need]:
    for key, runtime in lock.runtimes.items():
        models = {name for name, model in fleet.file.models.items() if model.runtime.key == key}
        if there := _there(fleet, hosts, models):
            yield _runtime(fleet, key, there, runtime)


def _runtime(fleet: Fleet, key: str, hosts: tuple[str, ...], runtime: RuntimeLock) -> Need:
    local = any(file.local for file in runtime.files)
    return Need(
        place=f"runtimes.{key}",
        hosts=hosts,
        files=fleet.located(runtime.files),
        setting="builds" if local else "",
        saved=local and _saves(fleet.file.backup, "builds"),
    )


def _drivers(fleet: Fleet, lock: Lock, hosts: tuple[str, ...]) -> Iterator[Need]:
    for name, driver in lock.drivers.items():
        there = tuple(host for host in hosts if _installs(fleet, lock, host, name))
        if there:
            files = tuple(_file(package) for package in (*driver.packages, *driver.cuda))
            yield Need(f"drivers.{name}", there, files, "packages", _saves(fleet.file.backup, "packages"))


def _tool(fleet: Fleet, lock: Lock, hosts: tuple[str, ...]) -> Iterator[Need]:
    there = tuple(host for host in hosts if host in fleet.tool_hosts)
    if there and lock.tool:
        yield Need("tool", there, lock.tool.files, setting="", saved=False)


def _installs(fleet: Fleet, lock: Lock, host: str, name: str) -> bool:
    locked = driver_of(lock, host)
    driver = fleet.driver_of(host, had=locked is not None)
    return bool(locked and locked.name == name and driver and driver.installs)


def _file(package: Package) -> File:
    return File(path=package.file, size=package.size, sha256=package.sha256, url=package.url)


def _there(fleet: Fleet, hosts: tuple[str, ...], models: set[str]) -> tuple[str, ...]:
    return tuple(host for host in hosts if any(replica.model in models for replica in fleet.parts_on(host)))


def _saves(backup: Backup | None, setting: str) -> bool:
    return backup is not None and backup.snapshots == "yes" and getattr(backup, setting) == "yes"
