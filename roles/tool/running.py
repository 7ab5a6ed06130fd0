"""Have the tool run on a control host: its secrets, its scripts, its units."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rackwright.operations.credential import Credential, credentials
from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.packages import installed
from rackwright.operations.unit import UNITS, running, systemd_unit
from rackwright.roles.tool import units
from rackwright.roles.tool.settings import (
    CHECK_TIMER,
    COMMAND,
    HAND_OVER,
    TIMER,
    UNIT,
    Settings,
    credential_file,
)
from rackwright.values.secrets import Secret


def runs(settings: Settings, secrets: Callable[[], Mapping[str, Secret]]) -> None:
    """Ensure that root can run the tool by hand, and that timers run it if something is ever due.

    A run in progress goes on as it was started.
    """
    # Without tzdata, systemd accepts only UTC as a time zone. ssh-keygen signs reports, git pushes the lock.
    needed = ("openssh-client", "git", "ca-certificates", "tzdata", *(["restic"] if settings.drills else []))
    installed(name="Install what the tool runs", packages=needed)
    kept = secrets()
    credentials(
        name="Keep the tool's secrets",
        wanted=tuple(Credential(credential_file(name), name, kept[name]) for name in settings.secrets),
    )
    for path, text in ((HAND_OVER, units.hand_over_text()), (COMMAND, units.command_text(settings))):
        checked_file(name=f"Write {path}", path=path, content=text, mode="0700", check="sh -n {path}")
    if settings.calendar:
        _scheduled(settings)


def _scheduled(settings: Settings) -> None:
    systemd_unit(name=f"Write {UNIT}", unit=UNIT, content=units.unit_text(settings), enabled=None, verify=True)
    for timer, text in ((TIMER, units.timer_text(settings)), (CHECK_TIMER, units.check_timer_text())):
        written = systemd_unit(name=f"Write {timer}", unit=timer, content=text, verify=True)
        running(name=f"Start {timer}", unit=timer, restart_if=[written], restart_files=(f"{UNITS}/{timer}",))
