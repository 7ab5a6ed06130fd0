"""What every process of this machine shows of itself while a test runs. Processes of lab hosts are among them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_PAUSE = 0.1


@dataclass
class ProcessWatch:
    """Reads all arguments and environments over and over."""

    secrets: list[str]
    """A test may add others that it learns of."""
    shown: list[str] = field(default_factory=list)
    """The arguments of each process that showed a secret."""
    seen: set[str] = field(default_factory=set)
    """All arguments, those of a process in one text."""
    _known: dict[str, bytes] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._over.wait(_PAUSE):
            self._known = dict(self._processes())

    def end(self) -> None:
        self._over.set()

    def _processes(self) -> Iterator[tuple[str, bytes]]:
        for place in Path("/proc").iterdir():
            # A process may have ended in the meantime.
            with suppress(OSError):
                if place.name.isdecimal() and (arguments := (place / "cmdline").read_bytes()):
                    if self._known.get(place.name) != arguments:
                        self._look(arguments, (place / "environ").read_bytes())
                    yield place.name, arguments

    def _look(self, arguments: bytes, environment: bytes) -> None:
        text = arguments.replace(b"\0", b" ").decode("utf-8", "replace")
        self.seen.add(text)
        if any(one.encode() in part for one in self.secrets for part in (arguments, environment)):
            self.shown.append(text)


@contextmanager
def process_watch(*secrets: str) -> Iterator[ProcessWatch]:
    """Yield a watch that runs until the block ends."""
    watch = ProcessWatch([*secrets])
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.end()
        thread.join()
