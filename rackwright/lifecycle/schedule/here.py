"""This process, and whether others on this machine still run."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from rackwright.lifecycle.schedule.due import Here
from rackwright.roles.tool.settings import BOOT
from rackwright.state.calendar.schedule import Process
from rackwright.values.tool_mode import in_tool_mode

_PROC = Path("/proc")
_STARTED = 18
"""Index of the start time in /proc/PID/stat, after the state (proc_pid_stat(5))."""
_ENDED = ("Z", "X")
"""States of a process that has ended, but that its parent hasn't asked about yet."""


def here(proc: Path = _PROC) -> Here:
    """Return this process. Without /proc, it can't tell whether another one has ended."""
    pid = os.getpid()
    me = Process(
        machine=socket.gethostname(), boot=_boot(proc), user=os.getuid(), pid=pid, started=_started(proc, pid) or ""
    )

    def gone(other: Process) -> bool | None:
        if other.machine != me.machine or not (me.boot and me.started and other.boot and other.started):
            return None
        if other.boot != me.boot:
            return True
        return _started(proc, other.pid) != other.started if other.user == me.user else None

    return Here(me, gone)


def _boot(proc: Path) -> str:
    # The tool on a control host sees only processes of its own user, and its host may be a container.
    path = Path(BOOT) if in_tool_mode() else proc / "sys/kernel/random/boot_id"
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(proc: Path, pid: int) -> str | None:
    """Return when a process started, None if there is none that can be seen."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in _ENDED else rest[_STARTED]
