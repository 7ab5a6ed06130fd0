"""The access log in the journal, from where it was read last."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import IO

_CURSOR = b"-- cursor: "
_LONGEST = 65536
"""Bytes of a line; HAProxy's are much shorter."""


@dataclass
class Place:
    """Where reading begins, and where it has ended."""

    cursor: str
    last: str
    """SHA-256 of the line there."""


@dataclass
class Journal:
    """Lines of one tag in the host's journal, of the priority that requests have."""

    tag: str
    command: tuple[str, ...] = ("journalctl",)

    def sync(self) -> None:
        """Return when everything that was logged before can be read. Raise CalledProcessError if that fails."""
        subprocess.run([*self.command, "--sync"], check=True, stdin=subprocess.DEVNULL, timeout=60)

    def lines(self, place: Place, since_hour: int, lost: Callable[[], None]) -> Iterator[bytes]:
        """Yield each line after the place, and move the place along; from an hour on if there is no place yet.

        Call `lost` before the first line if the journal doesn't have the place any more. Raise OSError if the journal
        can't be read to its end; the place is moved only at the end.
        """
        start = f"--cursor={place.cursor}" if place.cursor else f"--since=@{since_hour * 3600}"
        with self._reading(start) as stream:
            known = place.cursor == ""
            previous, cursor = b"", ""
            for line in _whole(stream):
                if line.startswith(_CURSOR):
                    cursor = line[len(_CURSOR) :].decode("ascii", "replace").strip()
                    continue
                previous = line
                if not known:
                    known = True
                    if sha256(line).hexdigest() == place.last:
                        continue
                    lost()
                yield line
            if not known:
                lost()
            if cursor:
                place.cursor, place.last = cursor, sha256(previous).hexdigest()

    @contextmanager
    def _reading(self, start: str) -> Iterator[IO[bytes]]:
        options = ["--quiet", "--no-pager", "--output=cat", "--show-cursor", f"--identifier={self.tag}"]
        options += ["--priority=info..info", start]
        with subprocess.Popen(
            [*self.command, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=1 << 20
        ) as running:
            assert running.stdout  # noqa: S101 — for the type
            try:
                yield running.stdout
            except BaseException:
                running.kill()
                raise
        if running.returncode != 0:
            raise OSError(f"journalctl ended with status {running.returncode}")


def _whole(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the stream's lines; of a longer one, nothing that could be taken for a line of the log."""
    while line := stream.readline(_LONGEST):
        if line.endswith(b"\n"):
            yield line
        else:
            while line and not line.endswith(b"\n"):
                line = stream.readline(_LONGEST)
            yield b"\n"
