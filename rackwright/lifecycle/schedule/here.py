"""This process, and whether others on this machine still run."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from rackwright.cache import cache_folder
from rackwright.lifecycle.schedule.alive import lives, shown
from rackwright.lifecycle.schedule.due import Here
from rackwright.roles.tool.settings import BOOT
from rackwright.state.schedule import Process
from rackwright.values.tool_mode import in_tool_mode

_PROC = Path("/proc")
_MACHINE_ID = Path("/etc/machine-id")
_STARTED = 18
"""Index of the start time in /proc/PID/stat, after the state (proc_pid_stat(5))."""
_ENDED = ("Z", "X")
"""States of a process that has ended, but that its parent hasn't asked about yet."""


@contextmanager
def here(proc: Path = _PROC) -> Iterator[Here]:
    """Yield this process, and show in the block that it lives.

    Without /proc or a machine ID, it can't tell whether another one has ended.
    """
    pid = os.getpid()
    me = Process(
        machine=socket.gethostname(),
        machine_id=_machine_id(),
        boot=_boot(proc),
        user=os.getuid(),
        pid=pid,
        started=_started(proc, pid) or "",
    )

    def gone(other: Process) -> bool | None:
        if not other.on_machine_of(me) or not (me.boot and me.started and other.boot and other.started):
            return None
        if other.boot != me.boot:
            return True
        return _ended(proc, other) if other.user == me.user else None

    with shown(_folder(), _name(me)):
        yield Here(me, gone)


def _ended(proc: Path, other: Process) -> bool | None:
    """Return whether a process of this boot and user has ended; None: nothing shows it."""
    alive = lives(_folder(), _name(other))
    if alive is not None:
        return not alive
    started = _started(proc, other.pid)
    # The sandbox of the tool on a control host hides what runs outside it.
    return None if started is None and in_tool_mode() else started != other.started


def _folder() -> Path:
    return cache_folder("running")


def _name(process: Process) -> str:
    """Return a name that no other process of this machine has, in this boot or another."""
    return sha256(f"{process.boot} {process.pid} {process.started}".encode()).hexdigest()


def _machine_id() -> str:
    """Return a digest of the machine's ID, which machine-id(5) wants kept private; empty if it has none."""
    try:
        found = _MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return sha256(f"rackwright {found}".encode()).hexdigest()[:32] if re.fullmatch("[0-9a-f]{32}", found) else ""


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
