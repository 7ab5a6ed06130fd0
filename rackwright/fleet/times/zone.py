"""The fleet's time zone."""

from __future__ import annotations

from datetime import UTC, tzinfo

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet


def zone_of(fleet: Fleet) -> tzinfo:
    """Return the fleet's time zone. Raise RackwrightError if this machine doesn't know it."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    name = fleet.file.timezone
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        raise RackwrightError(
            f"this machine doesn't know the time zone {name}",
            where=f"{fleet.path} timezone",
            next="install the package tzdata on this machine",
        ) from None
