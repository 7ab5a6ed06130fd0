"""The replica group's shell scripts: this member's values first, then a fixed text."""

from __future__ import annotations

import shlex
from pathlib import Path

from rackwright.roles.replica_group.settings import GROUP_STATES, Settings

_TEMPLATES = Path(__file__).parent / "templates"


def watch(settings: Settings) -> str:
    """Return the script that checks the other members once, and restarts the engine if it must."""
    values = {
        "unit": settings.unit,
        "file": f"{GROUP_STATES}/{settings.replica}",
        "leads": "yes" if settings.first else "no",
        "peers": " ".join(f"{peer.name}={peer.url}" for peer in settings.peers),
    }
    return _script("watch", settings, values)


def member(settings: Settings) -> str:
    """Return the script that reports the state of this engine to another member."""
    return _script("member", settings, {"unit": settings.unit, "file": f"{GROUP_STATES}/{settings.replica}"})


def _script(kind: str, settings: Settings, values: dict[str, str]) -> str:
    head = [f"#!/bin/sh\n# Made by rackwright: the {kind} of replica {settings.replica} on {settings.own.name}.\n"]
    head += [f"{name}={shlex.quote(value)}\n" for name, value in values.items()]
    return "".join(head) + (_TEMPLATES / f"{kind}.sh").read_text()
