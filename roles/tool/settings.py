"""The tool on a control host."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.paths import HostPath
from rackwright.values.text import Line

USER = "rw_tool"
"""No model's user has this name."""
FOLDER = "/etc/rackwright/tool"
COMMAND = f"{FOLDER}/rackwright"
"""Runs the tool for root, as its unit does."""
HAND_OVER = f"{FOLDER}/hand-over"
STATE_DIRECTORY = "rackwright-tool"
STATE = f"/var/lib/{STATE_DIRECTORY}"
RUN = "/run/rackwright-tool"
"""Root's folder, which the tool can read."""
HANDED = f"{RUN}/fleet.tar"
"""The applied fleet as root has it; empty if none was applied here."""
UNIT = "rackwright-schedule.service"
TIMER = "rackwright-schedule.timer"
CHECK_TIMER = "rackwright-schedule-check.timer"


class Settings(Frozen):
    python: HostPath
    """The interpreter of the tool's environment."""
    secrets: tuple[Line, ...] = ()
    """Names of the credentials that the tool gets."""
    calendar: tuple[Line, ...] = ()
    """When something is due, as in OnCalendar= of systemd.timer(5); empty: nothing ever is."""
    drills: bool = False
    """Whether it makes drills, which need restic."""

    @property
    def units(self) -> tuple[str, ...]:
        return (UNIT, TIMER, CHECK_TIMER) if self.calendar else ()

    @property
    def files(self) -> tuple[str, ...]:
        """Files and folders that belong to the tool; others in its folder are removed."""
        return (FOLDER, COMMAND, HAND_OVER, *map(credential_file, self.secrets))


def credential_file(name: str) -> str:
    """Return the path of an encrypted credential."""
    return f"{FOLDER}/{name}.cred"
