"""The last apply from a fleet file on this machine: changes in the file since then are newer than that apply."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from rackwright.cache import cache_folder
from rackwright.fleet.yaml_file import replace_file


def note_applied_from(fleet_file: Path, run: str) -> None:
    """Record the run on this machine. If that isn't possible, the next apply asks the operator instead."""
    path = _path(fleet_file)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, run.encode(), mode=0o600)


def last_applied_from(fleet_file: Path) -> str | None:
    """Return the recorded run, None if there is none."""
    try:
        return _path(fleet_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _path(fleet_file: Path) -> Path:
    return cache_folder("applied") / sha256(os.fsencode(fleet_file.resolve())).hexdigest()
