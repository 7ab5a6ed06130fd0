"""The tool on a control host that nobody watches."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.host_spec import InstalledTool
from rackwright.fleet.hosts.tool_secrets import names_of_secrets
from rackwright.fleet.lock import Lock, model_digest
from rackwright.fleet.times.occasions import calendar_of
from rackwright.own_wheel import own_version, own_wheel
from rackwright.roles.tool.settings import Settings


def tool_of(fleet: Fleet, lock: Lock, host: str) -> InstalledTool | None:
    """Return the tool of this host; None if it has none. This rackwright's own wheel is then in the cache.

    If the lock has another version, nothing can be installed from here: there are no wheels. Raise RackwrightError if
    this rackwright's wheel can't be made.
    """
    if host not in fleet.tool_hosts or lock.tool is None:
        return None
    wheels = (*lock.tool.files, own_wheel()) if lock.tool.version == own_version() else ()
    settings = Settings(
        version=lock.tool.version,
        secrets=names_of_secrets(fleet),
        calendar=calendar_of(fleet.file),
        drills=fleet.file.drill is not None and fleet.file.drill.at is not None,
    )
    return InstalledTool(settings, wheels, model_digest(wheels))
