"""The `rackwright` program."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    # Python's collector looks at all that was imported again and again: a tenth of a short command's time. What an
    # apply of a few hosts imports and keeps is 140,000 objects.
    gc.set_threshold(250_000)
    _unwind_when_told_to_end()
    from rackwright.cli.common.outcome import run

    code = run(sys.argv[1:] if arguments is None else list(arguments))
    if arguments is None:
        _end(code)
    sys.exit(code)


def _end(code: int) -> NoReturn:
    """As `sys.exit`, but Python doesn't take apart all that was imported, piece by piece."""
    atexit._run_exitfuncs()
    # Whoever closed one has None there.
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _unwind_when_told_to_end() -> None:
    """A cancelled job or a closed terminal leaves no more behind than Ctrl-C does; nohup's hangup stays ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


if __name__ == "__main__":
    main()
