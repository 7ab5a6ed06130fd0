"""The tool on one control host."""

from __future__ import annotations

from typing import Annotated

from rackwright.values.base import Frozen
from rackwright.values.paths import HostPath
from rackwright.values.text import Line, Shape

USER = "rw_tool"
"""A model's user is rw-MODEL, so none has this name."""
ROOT = "/opt/rackwright"
STATE_DIRECTORY = "rackwright-tool"
STATE = f"/var/lib/{STATE_DIRECTORY}"
"""What the tool keeps between its runs. Only its user may read it. A host that loses the tool keeps it."""
FOLDER = "/etc/rackwright/tool"
"""What root gives the tool; its user can't write there."""
COMMAND = f"{FOLDER}/rackwright"
"""Runs the tool for root, as its unit does."""
HAND_OVER = f"{FOLDER}/hand-over"
RUN = "/run/rackwright-tool"
"""Root's folder, which the tool can read."""
HANDED = f"{RUN}/fleet.tar"
"""The applied fleet as root has it; empty if none was applied here."""
BOOT = f"{RUN}/boot"
"""Which boot of the host this is. The tool can't see for itself."""
UNIT = "rackwright-schedule.service"
BY_HAND = "rackwright-by-hand"
"""The beginning of the transient unit of each run by hand; its process ID follows."""
TIMER = "rackwright-schedule.timer"
CHECK_TIMER = "rackwright-schedule-check.timer"
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
    secrets: tuple[Line, ...] = ()
    """Names of the credentials that the tool gets."""
    calendar: tuple[Line, ...] = ()
    """When something is due, as in OnCalendar= of systemd.timer(5); empty: nothing ever is."""
    drills: bool = False
    """Whether it makes drills, which need restic."""

    @property
    def folder(self) -> HostPath:
        return folder_of(self.version)

    @property
    def python(self) -> HostPath:
        """The interpreter that has rackwright and all that it needs."""
        return f"{self.folder}/bin/python"

    @property
    def units(self) -> tuple[str, ...]:
        return (UNIT, TIMER, CHECK_TIMER) if self.calendar else ()

    @property
    def files(self) -> tuple[str, ...]:
        """Files and folders that a host without the tool doesn't have; others in its folder are removed."""
        return (FOLDER, RUN, COMMAND, HAND_OVER, *map(credential_file, self.secrets))


def credential_file(name: str) -> str:
    """Return the path of an encrypted credential."""
    return f"{FOLDER}/{name}.cred"
