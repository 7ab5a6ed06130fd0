"""Space on the disk, and what is surely on it."""

from __future__ import annotations

import os
from pathlib import Path


def free(folder: Path) -> int:
    """Return the bytes that the folder's file system has for users."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def sync(path: Path) -> None:
    """Return when the disk has the file, or the folder's list of names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
