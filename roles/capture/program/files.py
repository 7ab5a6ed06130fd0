"""A migration's files, within the limits of its orders.

A complete and synced file is named SEQUENCE-LINES.age. One with another name was being written when an earlier run
ended.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from rackwright.roles.capture.program.age_file import AgeFile, encrypted
from rackwright.roles.capture.program.counts import Counts
from rackwright.roles.capture.program.disk import free, sync
from rackwright.roles.capture.program.orders import Orders


class Files:
    """The files, the one that is open, and the counts of all."""

    def __init__(self, folder: Path, orders: Orders) -> None:
        self._folder, self._orders, self._state = folder, orders, folder / "state.json"
        self.counts = Counts.read(self._state, orders.until)
        self.saved = time.monotonic()
        self._open: AgeFile | None = None
        for left in folder.glob("*.part"):
            left.unlink()
        self._number, self._stored = _found(folder)

    @property
    def due(self) -> bool:
        """Whether a file has been open for long enough."""
        return self._open is not None and self._open.due

    def keep(self, line: bytes, personal: Counter[str]) -> None:
        """Write the line, unless that would exceed a limit: then the capture ends."""
        self.counts.ended = self.counts.ended or self._exceeded(len(line))
        if self.counts.ended:
            self.counts.dropped[self.counts.ended] += 1
        else:
            self._write(line, personal)

    def complete(self) -> None:
        """Complete the open file. If that isn't possible, its lines count as dropped, and the capture ends."""
        done, self._open = self._open, None
        if done is None:
            return
        size = self._completed(done)
        if size:
            self._stored += size
            self.counts.recorded += done.lines
            self.counts.bytes += size
            self.counts.personal += done.personal
        else:
            done.path.unlink(missing_ok=True)
            self.counts.dropped["disk"] += done.lines
            self.counts.ended = "disk"
        self.save()

    def save(self) -> None:
        """Write state.json, if the disk takes it."""
        self.saved = time.monotonic()
        self.counts.write(self._state, self._orders)

    def _exceeded(self, line: int) -> str:
        """Return the limit that a line of this many bytes would exceed."""
        held = self._open.text if self._open else 0
        if self._stored + encrypted(held + line) > self._orders.size:
            return "size"
        return "disk" if free(self._folder) - line < self._orders.reserve else ""

    def _write(self, line: bytes, personal: Counter[str]) -> None:
        if self._open is None:
            self._number += 1
            self._open = AgeFile(self._folder / f"{self._number:08}.part", self._orders.recipient)
        try:
            self._open.add(line, personal)
        except OSError:
            self.complete()
            return
        if self._open.full:
            self.complete()

    def _completed(self, done: AgeFile) -> int:
        """Give the file its final name, and return its bytes; 0 if it is incomplete."""
        kept = 0
        with suppress(OSError):
            if done.close():
                size = done.path.stat().st_size
                done.path.rename(self._folder / f"{self._number:08}-{done.lines}.age")
                kept = size
                sync(self._folder)
        return kept


def _found(folder: Path) -> tuple[int, int]:
    """Return the highest number of a file, and the bytes of all."""
    files = list(folder.glob("*-*.age"))
    numbers = [int(path.name.partition("-")[0]) for path in files if path.name.partition("-")[0].isdigit()]
    return max(numbers, default=0), sum(path.stat().st_size for path in files)
