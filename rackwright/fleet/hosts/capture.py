"""Whether a host can record requests for a migration."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet


def records(fleet: Fleet, host: str) -> bool:
    """Return whether this host is a gateway in front of a cloud: what clients ask a cloud may be recorded there."""
    return bool(fleet.file.clouds) and host in fleet.gateways
