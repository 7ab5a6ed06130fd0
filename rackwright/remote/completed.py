"""The result of a command on a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rackwright.errors import HostError

_LAST_LINES = 5
_SIGNALS, _MOST_SIGNALS = 128, 64


class CommandTimeout(HostError):
    """A command exceeded its time limit. The connection can still be used."""


@dataclass(frozen=True)
class Completed:
    exit_status: int
    """If a signal ended the command: -1, or 128 plus the signal's number, as in shells."""
    stdout_bytes: bytes = field(default=b"", repr=False)
    stderr_bytes: bytes = field(default=b"", repr=False)
    host: str = ""

    @property
    def ok(self) -> bool:
        return self.exit_status == 0

    @property
    def killed(self) -> bool:
        """Return whether a signal ended it; its output may then be incomplete."""
        return self.exit_status < 0 or 0 < self.exit_status - _SIGNALS <= _MOST_SIGNALS

    @property
    def stdout(self) -> str:
        return self.stdout_bytes.decode(errors="replace")

    @property
    def stderr(self) -> str:
        return self.stderr_bytes.decode(errors="replace")

    def last_lines(self, count: int = _LAST_LINES) -> tuple[str, ...]:
        """Return the last nonblank lines of stderr, or of stdout if stderr has none."""
        text = self.stderr if self.stderr.strip() else self.stdout
        return tuple(line for line in text.splitlines() if line.strip())[-count:]

    def whole(self, what: str) -> Completed:
        """Return self with any exit status. Raise HostError, as `check` does, only if a signal ended the command."""
        return self.check(what) if self.killed else self

    def check(self, what: str) -> Completed:
        """Return self if the exit status is 0, else raise HostError: `what` failed, with its last lines of output."""
        if self.ok:
            return self
        ended = "was ended by a signal" if self.killed else f"failed with exit status {self.exit_status}"
        lines = "".join(f"\n    {line}" for line in self.last_lines())
        raise HostError(f"{what} {ended}{lines}", where=self.host)


def checked(answers: Mapping[str, Completed | HostError], what: str) -> dict[str, Completed | HostError]:
    """Return the results of one command by host, with a HostError for each host on which the command failed.

    For commands that exit with 0 even if they find nothing: a failed one doesn't mean that nothing was found.
    """
    return {name: _checked(answer, what) for name, answer in answers.items()}


def _checked(answer: Completed | HostError, what: str) -> Completed | HostError:
    try:
        return answer if isinstance(answer, HostError) else answer.check(what)
    except HostError as error:
        return error
