"""Fleets with receivers, and a console that keeps what is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rackwright.fleet.fleet import Fleet
from tests.fleet.fleets import make_fleet
from tests.loopback_tls import bundle


def fleet_with(*receivers: dict[str, Any], path: Path = Path("acme.yml"), **sections: Any) -> Fleet:
    """Return a fleet whose receivers trust the loopback CA."""
    known = [{"ca": bundle()} | one for one in receivers]
    hosts = {"gate1": {"address": "10.0.0.9"}, "gpu1": {"address": "10.0.0.11"}, "gpu2": {"address": "10.0.0.12"}}
    return make_fleet(path, hosts=hosts, notify=known or None, **sections)


@dataclass
class Said:
    """In place of the console."""

    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.lines.append(text)
