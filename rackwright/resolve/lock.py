"""`rackwright lock`: resolve every setting of the fleet file that the lock doesn't have yet."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rackwright.errors import FleetError, Problem
from rackwright.fleet.downloads import download_files
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import DriverLock, Lock, ModelLock
from rackwright.fleet.ports import assign_ports
from rackwright.resolve.licenses import refused_licenses
from rackwright.resolve.lock_entry import Resolver
from rackwright.resolve.lookup import Sources
from rackwright.resolve.tool import tool_of
from rackwright.resolve.web import Progress, quiet


def resolve_lock(
    fleet: Fleet,
    previous: Lock | None,
    *,
    drivers: Mapping[str, DriverLock] = MappingProxyType({}),
    upgrade: bool = False,
    on_progress: Progress = quiet,
) -> Lock:
    """Given a fleet and its current lock, return a lock that matches the fleet file.

    Settings that didn't change keep their entry (a branch keeps its commit) and need no network. With `upgrade`, all
    are resolved again, except those that define their bytes themselves (a released version, a URL with its sha256).
    `drivers` are the driver sets that hosts reported. The control hosts stay; a first lock records the fleet file's.
    Raise FleetError with every setting that can't be resolved and every license that isn't allowed; raise SecretError
    without the hub's token, RackwrightError if a server can't be reached.
    """
    download_files(fleet)
    resolver = Resolver(fleet, previous, Sources(fleet, upgrade, on_progress))
    models: dict[str, ModelLock] = {}
    problems: list[Problem] = []
    for name in fleet.file.models:
        try:
            models[name] = resolver.model(name)
        except FleetError as error:
            problems += error.problems
    problems += refused_licenses(fleet, models)
    try:
        tool = tool_of(fleet, previous.tool if previous else None, again=upgrade)
    except FleetError as error:
        problems += error.problems
    try:
        runtimes = resolver.runtimes(reread=kinds(fleet) if upgrade else ())
    except FleetError as error:
        problems += error.problems
    if problems:
        raise FleetError(problems)
    return Lock(
        fleet=fleet.file.fleet,
        models=models,
        runtimes=runtimes,
        drivers=drivers,
        tool=tool,
        ports=assign_ports(fleet, previous),
        control=(previous.control if previous else ()) or fleet.control,
    )


def kinds(fleet: Fleet) -> set[str]:
    """Return the kinds of runtime in the fleet file."""
    return {model.runtime.kind for model in fleet.file.models.values()}
