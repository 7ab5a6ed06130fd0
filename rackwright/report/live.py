"""What a command shows while it works: the stage, each host's operation, bytes and time left. On standard error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, TextIO

from rackwright.report.words import COLOURS, SIGNS, TOLD, duration, safe, size
from rackwright.run import Outcome, Step
from rackwright.runner.progress import Progress

_HEARD = b"\ninterrupted: it ends where nothing is left half done; Ctrl-C again ends it at once\n"
_SHORT = 1_000_000
"""Bytes: the progress of a smaller upload is no news."""


class Display(Protocol):
    """Where progress is shown."""

    def line(self, text: str, colour: str | None = None) -> None:
        """Print a line that stays."""

    def host(self, progress: Progress, detail: str) -> None:
        """Show what a host is at."""

    def close(self) -> None:
        """Take away what moves, until there is news of a host again."""


class Live:
    """Takes the engine's progress and a procedure's stages. A context manager: what moves is gone at its end.

    Bars on a terminal, plain lines elsewhere; `quiet` shows nothing, as --json wants it.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._display: Display = _display(self._stream, quiet)
        self._clock = clock
        self._uploads: dict[tuple[str, str], float] = {}

    def stage(self, text: str, stages: Sequence[str]) -> None:
        """Say which of these stages starts."""
        self._display.line(f"[{stages.index(text) + 1}/{len(stages)}] {safe(text)}")

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._display.line(safe(text))

    def heard(self) -> None:
        """Say that Ctrl-C came."""
        if not self._quiet:
            # Past all buffers: what the handler interrupted may be writing to them.
            os.write(self._stream.fileno(), _HEARD)

    def on_step(self, progress: Progress) -> None:
        """Show one piece of the engine's news; what changed or failed leaves a line."""
        self._display.host(progress, self._transfer(progress))
        if progress.step and progress.step.outcome in TOLD:
            self._display.line(_line(progress.step), COLOURS.get(progress.step.outcome))

    def transfer(self, what: str, done: int, total: int | None) -> None:
        """Show bytes that the controller itself reads or downloads."""
        self.on_step(Progress("controller", "reading", what, 1, 1, None, done, total or 0))

    def arriving(self, host: str, what: str, done: int, total: int, rate: int) -> None:
        """Show bytes that a host gets from another, their rate, and the time left at that."""
        text = f"{size(done)} of {size(total)}, {size(rate)}/s"
        if 0 < done < total and rate:
            text += f", {duration((total - done) / rate)} left"
        self._display.host(Progress(host, "p2p", what, 1, 1, None, done, total), text)

    def pause(self) -> None:
        """Take away what moves, so that a question can be asked. The next news brings it back."""
        self._display.close()

    def _transfer(self, progress: Progress) -> str:
        """Return bytes sent, in all, and the time left at the pace so far."""
        if not progress.bytes_total:
            return ""
        begun = self._uploads.setdefault((progress.host, progress.operation), self._clock())
        seconds = self._clock() - begun
        text = f"{size(progress.bytes_sent)} of {size(progress.bytes_total)}"
        if seconds <= 0 or not progress.bytes_sent:
            return text
        left = (progress.bytes_total - progress.bytes_sent) * seconds / progress.bytes_sent
        return f"{text}, {duration(left)} left"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.close()


def _line(step: Step) -> str:
    verb = " FAILED" if step.outcome is Outcome.FAILED else ""
    return f"{SIGNS[step.outcome]} {step.host} {step.role}: {safe(step.operation)}{verb}"


def _display(stream: TextIO, quiet: bool) -> Display:
    if quiet:
        return _Nothing()
    if not stream.isatty():
        return _Lines(stream)
    # rich takes a fifth of a second to import.
    from rackwright.report.terminal_progress import Bars

    return Bars(stream)


class _Nothing:
    def line(self, text: str, colour: str | None = None) -> None:
        del text, colour

    def host(self, progress: Progress, detail: str) -> None:
        del progress, detail

    def close(self) -> None:
        return


class _Lines:
    """For a log: a line for every tenth of an upload, none for an operation that merely runs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tenths: dict[tuple[str, str], int] = {}

    def line(self, text: str, colour: str | None = None) -> None:
        del colour
        print(text, file=self._stream, flush=True)

    def host(self, progress: Progress, detail: str) -> None:
        if progress.bytes_total < _SHORT:
            return
        upload = (progress.host, progress.operation)
        tenth = progress.bytes_sent * 10 // progress.bytes_total
        if tenth > self._tenths.get(upload, 0):
            self._tenths[upload] = tenth
            self.line(f"  {progress.host} {progress.role}: {safe(progress.operation)}: {detail}")

    def close(self) -> None:
        return
