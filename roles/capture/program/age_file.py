"""A file that age is writing."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from rackwright.roles.capture.program.disk import sync

ROTATE_BYTES = 4 * 2**20
ROTATE_SECONDS = 60
_BLOCK, _TAG, _HEADER = 65536, 16, 512
"""What age adds: a tag to each block, and a header."""


class AgeFile:
    """Lines that go to age, which encrypts them into a file."""

    def __init__(self, path: Path, recipient: str) -> None:
        self.path, self.lines, self.text, self.began = path, 0, 0, time.monotonic()
        self.personal: Counter[str] = Counter()
        command = ["age", "-r", recipient, "-o", str(path)]
        quiet = subprocess.DEVNULL
        self._age = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)
        self._input = cast(BinaryIO, self._age.stdin)

    @property
    def due(self) -> bool:
        return time.monotonic() - self.began >= ROTATE_SECONDS

    @property
    def full(self) -> bool:
        return self.text >= ROTATE_BYTES

    def add(self, line: bytes, personal: Counter[str]) -> None:
        """Raise OSError if age has ended."""
        # Counted first: if age has ended, this line is lost, too.
        self.lines += 1
        self._input.write(line)
        self.text += len(line)
        self.personal += personal

    def close(self) -> bool:
        """Return whether age has written all of it, and the disk has it."""
        with suppress(OSError):
            self._input.close()
        try:
            complete = self._age.wait(60) == 0
        except subprocess.TimeoutExpired:
            self._age.kill()
            complete = self._age.wait() == 0
        with suppress(OSError):
            sync(self.path)
            return complete
        return False


def encrypted(text: int) -> int:
    """Return at most how many bytes a file of this many bytes of text has."""
    return text + _TAG * (text // _BLOCK + 1) + _HEADER
