"""The tool on one control host."""

from __future__ import annotations

from typing import Annotated

from rackwright.values.base import Frozen
from rackwright.values.paths import HostPath
from rackwright.values.text import Shape

USER = "rw_tool"
"""A model's user is rw-MODEL, so none has this name."""
ROOT = "/opt/rackwright"
STATE_DIRECTORY = "rackwright-tool"
STATE = f"/var/lib/{STATE_DIRECTORY}"
"""What the tool keeps between its runs. Only its user may read it."""
FOLDER = "/etc/rackwright/tool"
"""What root gives the tool; its user can't write there."""
FILES = (FOLDER, STATE)
PYTHON_VERSION = "3.13"
PYTHON = f"/usr/bin/python{PYTHON_VERSION}"
"""Debian 13's interpreter."""
VERSION = r"[0-9][0-9A-Za-z.]{0,30}\+[0-9a-f]{8}"
Version = Annotated[str, Shape(VERSION, "should be a version and eight hexadecimal digits, like 0.1.0+1a2b3c4d")]


def folder_of(version: str) -> HostPath:
    """Return the folder on a host of this version of the tool."""
    return f"{ROOT}/tool-{version}"


class Settings(Frozen):
    version: Version
    """The version in the lock: rackwright's own, and the beginning of the digest of its files."""

    @property
    def folder(self) -> HostPath:
        return folder_of(self.version)

    @property
    def python(self) -> HostPath:
        """The interpreter that has rackwright and all that it needs."""
        return f"{self.folder}/bin/python"
