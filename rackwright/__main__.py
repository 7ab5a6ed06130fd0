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
    # Python's collector scans all imported objects again and again, which takes a tenth of a short command's time. An
    # apply of a few hosts imports and keeps 140,000 objects.
    gc.set_threshold(250_000)
    _unwind_on_signals()
    from rackwright.cli.common.outcome import run

    code = run(sys.argv[1:] if arguments is None else list(arguments))
    if arguments is None:
        _end(code)
    sys.exit(code)


def _end(code: int) -> NoReturn:
    """Exit like `sys.exit`, but without the time that Python takes to free everything that was imported."""
    atexit._run_exitfuncs()
    # A stream that the parent process closed is None.
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _unwind_on_signals() -> None:
    """Make SIGTERM (a canceled job) and SIGHUP (a closed terminal) act like Ctrl-C. nohup still works."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


if __name__ == "__main__":
    main()
