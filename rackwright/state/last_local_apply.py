"""The last apply that a fleet file on this machine matched: what was edited since then is newer."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from rackwright.cache import cache_folder
from rackwright.fleet.yaml_file import replace_file


def note_applied_from(fleet_file: Path, run: str) -> None:
    """This machine knows it afterwards. Where it can't, the next apply asks instead."""
    path = _path(fleet_file)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, run.encode(), mode=0o600)


def last_applied_from(fleet_file: Path) -> str | None:
    """Return the run, None if this machine knows of none."""
    try:
        return _path(fleet_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _path(fleet_file: Path) -> Path:
    return cache_folder("applied") / sha256(os.fsencode(fleet_file.resolve())).hexdigest()
