"""The folders, groups and record that everything else of ours stands on."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.paths import HostPath
from rackwright.values.text import Line, Name


class Settings(Frozen):
    fleet: Name
    host: Name
    serves: bool
    """Whether engines run here: then the group of engine sockets is made too."""
    keep_units: tuple[Line, ...] = ()
    """Every unit of ours that belongs here; any other rackwright-* unit is stopped and removed."""
    keep_files: tuple[HostPath, ...] = ()
    """Every probe's script, proxy's folder, certificate, backups' and driver's file that belongs here."""
    keep_users: tuple[Line, ...] = ()
    """Every rw-* user that belongs here; any other is removed."""
