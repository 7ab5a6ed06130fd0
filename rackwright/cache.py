"""The folder on this machine for files that may be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str = "") -> Path:
    """Return ~/.cache/rackwright, or the folder with this name in it. It may not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rackwright" / name
