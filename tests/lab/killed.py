"""Runs the command line and dies, as in a power failure, at one of its writes to the control host.

Arguments: before or after, the number of the write (from 1: documents and lines of the journal), then the command's
words.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from rackwright.__main__ import main
from rackwright.state.store import FileStore


def killing(write: Callable[..., None], moment: str, number: int, written: list[str]) -> Callable[..., None]:
    def counted(store: FileStore, *words: Any) -> None:
        written.append(write.__name__)
        if moment == "before" and len(written) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        write(store, *words)
        if moment == "after" and len(written) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return counted


moment, number, *words = sys.argv[1:]
written: list[str] = []
for name in ("append", "keep"):
    setattr(FileStore, name, killing(getattr(FileStore, name), moment, int(number), written))
main(words)
