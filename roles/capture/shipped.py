"""The program that a capture runs on a gateway."""

from __future__ import annotations

from rackwright.operations.filesystem.shipped import START, SUMS, Shipped
from rackwright.roles.capture.settings import FOLDER

PROGRAM = Shipped(FOLDER, ("rackwright/migrate/redact", "rackwright/roles/capture/program"))
MODULES, FOLDERS = PROGRAM.modules, PROGRAM.folders

__all__ = ["FOLDERS", "MODULES", "PROGRAM", "START", "SUMS", "sums"]


def sums() -> str:
    """Return each module's sha256 and path on a gateway, as `sha256sum --check` reads them."""
    return PROGRAM.sums
