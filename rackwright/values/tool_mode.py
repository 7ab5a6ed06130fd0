"""Tool mode: rackwright runs on a control host, with only what an apply delivered there.

Then secrets come from the unit's credentials, the login is the tool's own, and the fleet is the applied one.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir

VARIABLE = "RACKWRIGHT_TOOL"
"""The tool's units set it to 1."""
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Set by systemd: the folder with the unit's decrypted credentials, which only this unit can read."""
_STATE = "STATE_DIRECTORY"
"""Set by systemd: the folder that the unit keeps."""
_NOWHERE = "/nonexistent"
PRIVATE = "rackwright-private-"
"""Begins the names of folders for secrets that exist only during a command."""


def in_tool_mode() -> bool:
    return os.environ.get(VARIABLE) == "1"


def credential_name(reference: str) -> str:
    """Return the name under which a control host has the secret of this reference. It doesn't show the reference."""
    return sha256(reference.encode()).hexdigest()[:32]


def delivered(reference: str) -> Path:
    """Return the file with the secret of this reference, in tool mode. It may not exist.

    It is the unit's credential; or a file in one of rackwright's own private folders, for a drill's fleet.
    """
    kind, _, path = reference.partition(":")
    if kind == "file" and path.startswith(f"{gettempdir()}/{PRIVATE}") and ".." not in Path(path).parts:
        return Path(path)
    return Path(os.environ.get(_CREDENTIALS) or _NOWHERE) / credential_name(reference)


def kept_beside(fleet_file: Path, name: str) -> Path:
    """Return where a file is kept that belongs next to the fleet file.

    In tool mode, that is the folder that outlasts the unit: its fleet file is a copy that goes with it.
    """
    folder = os.environ.get(_STATE) if in_tool_mode() else None
    return Path(folder) / name if folder else fleet_file.with_name(name)
