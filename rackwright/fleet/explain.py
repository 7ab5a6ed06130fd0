"""Every setting of one host, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.reading.error_messages import did_you_mean


@dataclass(frozen=True)
class Row:
    setting: str
    """Like ssh.user."""
    value: str
    """As written in the fleet file; "-" if it is not set."""
    origin: str
    """Like "defaults", "group NAME" or "host NAME" with FILE:LINE; or "built in"."""


def explain(fleet: Fleet, host: str) -> tuple[Row, ...]:
    """Return all settings of a host. Raise UsageError if there is no such host."""
    settings = fleet.file.hosts.get(host)
    if settings is None:
        raise UsageError(f"unknown host '{host}'", should=did_you_mean(host, fleet.file.hosts))
    origins = fleet.origins.get(host, {})
    rows = _flat(settings.model_dump(mode="json", exclude_none=False), "")
    return tuple(Row(setting, value, origins.get(setting, "built in")) for setting, value in rows)


def _flat(settings: Mapping[str, object], below: str) -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        setting = f"{below}.{key}" if below else key
        if isinstance(value, dict):
            yield from _flat(value, setting)
        else:
            yield setting, _written(value)


def _written(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(str(item) for item in value)}]"
    return "-" if value is None else str(value)
