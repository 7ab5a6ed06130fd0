"""The folders, groups and record that all other roles need."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.paths import HostPath
from rackwright.values.text import Line, Name

SOCKETS = "/run/rackwright"
"""Folder of the engines' sockets, a mount of its own."""
SOCKETS_UNIT = "run-rackwright.mount"
"""The unit that mounts it; systemd derives this name from the path."""


class Settings(Frozen):
    fleet: Name
    host: Name
    serves: bool
    """Whether engines run here; if so, the group for engine sockets is created, too."""
    keep_units: tuple[Line, ...] = ()
    """All of rackwright's units that belong on this host; others are stopped and removed."""
    keep_files: tuple[HostPath, ...] = ()
    """All files that belong on this host: probe scripts, proxy folders, certificates, backup and driver files."""
    keep_users: tuple[Line, ...] = ()
    """All rw-* users that belong on this host; others are removed."""
    keep_builds: tuple[HostPath, ...] = ()
    """The folders of all builds that this host keeps for its backups; others are removed."""
    keep_tool: HostPath | None = None
    """The folder of the version of the tool that belongs here. It and the one before stay; if None, none does."""
