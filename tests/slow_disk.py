"""A slow disk: strace lets each fsync and fdatasync of a process return later."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SlowDisk:
    notes: Path

    @property
    def delayed(self) -> int:
        """How many syncs have come back late."""
        return self.notes.read_text().count("(DELAYED)") if self.notes.exists() else 0


@contextmanager
def slow_disk(pid: int, seconds: float, folder: Path) -> Iterator[SlowDisk]:
    """Delay each sync of the process by this much during the block. Needs root."""
    disk = SlowDisk(folder / f"syncs-of-{pid}")
    disk.notes.unlink(missing_ok=True)
    syncs = "fsync,fdatasync"
    delay = f"inject={syncs}:delay_exit={int(seconds * 1e6)}"
    words = ["strace", "-f", "-qq", "-o", str(disk.notes), "-e", f"trace={syncs}", "-e", delay, "-p", str(pid)]
    tracer = subprocess.Popen(words)
    try:
        yield disk
    finally:
        tracer.terminate()
        tracer.wait()
