"""Tool mode: rackwright runs on a control host, with only what an apply delivered there.

Then secrets come from the unit's credentials, the login is the tool's own, and the fleet is the applied one.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

VARIABLE = "RACKWRIGHT_TOOL"
"""The tool's units set it to 1."""
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Set by systemd: the folder with the unit's decrypted credentials, which only this unit can read."""
_NOWHERE = "/nonexistent"


def in_tool_mode() -> bool:
    return os.environ.get(VARIABLE) == "1"


def credential_name(reference: str) -> str:
    """Return the name under which a control host has the secret of this reference. It doesn't show the reference."""
    return sha256(reference.encode()).hexdigest()[:32]


def delivered(reference: str) -> Path:
    """Return the file with the secret of this reference, in tool mode. It may not exist."""
    return Path(os.environ.get(_CREDENTIALS) or _NOWHERE) / credential_name(reference)
