"""The tool on a control host that nobody watches."""

from __future__ import annotations

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.host_spec import InstalledTool
from rackwright.fleet.hosts.tool_secrets import names_of_secrets
from rackwright.fleet.lock import Lock, model_digest
from rackwright.fleet.times.occasions import calendar_of
from rackwright.own_wheel import own_version, own_wheel
from rackwright.roles.tool.settings import Settings


def tool_of(fleet: Fleet, lock: Lock, host: str) -> InstalledTool | None:
    """Return the tool of this host; None if it has none. This rackwright's own wheel is then in the cache.

    Raise FleetError if the lock isn't of this rackwright, RackwrightError if its wheel can't be made.
    """
    if host not in fleet.tool_hosts or lock.tool is None:
        return None
    if lock.tool.version != own_version():
        what = f"is {lock.tool.version}, but this rackwright is {own_version()}"
        raise FleetError([Problem(f"{fleet.sibling('lock')} tool.version", what, next="rackwright lock")])
    wheels = (*lock.tool.files, own_wheel())
    settings = Settings(
        version=lock.tool.version,
        secrets=names_of_secrets(fleet),
        calendar=calendar_of(fleet.file),
        drills=fleet.file.drill is not None and fleet.file.drill.at is not None,
    )
    return InstalledTool(settings, wheels, model_digest(wheels))
