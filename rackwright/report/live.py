"""The progress of a command on standard error: the stage, each host's operation, bytes and time left."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, TextIO

from rackwright.report.words import COLORS, REPORTED, SIGNS, duration, size
from rackwright.run import Outcome, Step
from rackwright.runner.progress import Progress
from rackwright.terminal import Styled, echo

_HEARD = b"\ninterrupted: stops at the next safe point; Ctrl-C again stops at once\n"
_LINE_SECONDS = 60
"""From one line about an upload to the next, in a log."""
_SHORT = 1_000_000
"""Bytes. A smaller upload shows no progress."""


class Display(Protocol):
    """Where progress is shown."""

    def line(self, text: str) -> None:
        """Print a line that stays."""

    def host(self, progress: Progress, detail: str) -> None:
        """Show what a host is doing."""

    def close(self) -> None:
        """Remove the bars until there is progress of a host again."""


class Live:
    """Shows the runner's progress and a procedure's stages. A context manager, which removes the bars at its end.

    Bars on a terminal, plain lines elsewhere. `quiet` shows nothing, for --json.
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
        self._display: Display = _display(self._stream, quiet, clock)
        self._clock = clock
        self._uploads: dict[tuple[str, str], float] = {}

    def stage(self, text: str, stages: Sequence[str]) -> None:
        """Print which of these stages starts."""
        self._display.line(f"[{stages.index(text) + 1}/{len(stages)}] {text}")

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._display.line(text)

    def heard(self) -> None:
        """Print that Ctrl-C was received."""
        if not self._quiet:
            # Bypass all buffers: the code that the signal interrupted may be writing to them.
            os.write(self._stream.fileno(), _HEARD)

    def on_step(self, progress: Progress) -> None:
        """Show one progress event of the runner. A step with an outcome in REPORTED leaves a line."""
        self._display.host(progress, self._transfer(progress))
        if progress.step and progress.step.outcome in REPORTED:
            self._display.line(Styled(_line(progress.step), COLORS.get(progress.step.outcome)))

    def transfer(self, what: str, done: int, total: int | None) -> None:
        """Show the bytes that the controller itself reads or downloads."""
        self.on_step(Progress("controller", "reading", what, 1, 1, None, done, total or 0))

    def arriving(self, host: str, what: str, done: int, total: int, rate: int) -> None:
        """Show the bytes that a host gets from another host, their rate, and the time left at that rate."""
        text = f"{size(done)} of {size(total)}, {size(rate)}/s"
        if 0 < done < total and rate:
            text += f", {duration((total - done) / rate)} left"
        self._display.host(Progress(host, "p2p", what, 1, 1, None, done, total), text)

    def pause(self) -> None:
        """Remove the bars, so that a question can be asked. The next progress shows them again."""
        self._display.close()

    def _transfer(self, progress: Progress) -> str:
        """Return the bytes sent, the total, and the time left at the average rate so far."""
        if not progress.bytes_total:
            return ""
        started = self._uploads.setdefault((progress.host, progress.operation), self._clock())
        seconds = self._clock() - started
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
    return f"{SIGNS[step.outcome]} {step.host} {step.role}: {step.operation}{verb}"


def _display(stream: TextIO, quiet: bool, clock: Callable[[], float]) -> Display:
    if quiet:
        return _Nothing()
    if not stream.isatty():
        return _Lines(stream, clock)
    # rich takes a fifth of a second to import.
    from rackwright.report.terminal_progress import Bars

    return Bars(stream)


class _Nothing:
    def line(self, text: str) -> None:
        del text

    def host(self, progress: Progress, detail: str) -> None:
        del progress, detail

    def close(self) -> None:
        return


class _Lines:
    """For a log: a line a minute for a long upload, but none for a running operation."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream, self._clock = stream, clock
        self._shown: dict[tuple[str, str], float] = {}

    def line(self, text: str) -> None:
        echo(text, file=self._stream)

    def host(self, progress: Progress, detail: str) -> None:
        if progress.bytes_total < _SHORT:
            return
        now = self._clock()
        upload = (progress.host, progress.operation)
        if now - self._shown.setdefault(upload, now) >= _LINE_SECONDS:
            self._shown[upload] = now
            self.line(f"  {progress.host} {progress.role}: {progress.operation}: {detail}")

    def close(self) -> None:
        return
