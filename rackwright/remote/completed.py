"""What a command on a host came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rackwright.errors import HostError

_LAST_LINES = 5
_SIGNALS, _MOST_SIGNALS = 128, 64


class CommandTimeout(HostError):
    """A command took longer than it may. The connection stays good."""


@dataclass(frozen=True)
class Completed:
    exit_status: int
    """-1, or 128 and the signal's number as shells have it, when a signal ended the command."""
    stdout_bytes: bytes = field(default=b"", repr=False)
    stderr_bytes: bytes = field(default=b"", repr=False)
    host: str = ""

    @property
    def ok(self) -> bool:
        return self.exit_status == 0

    @property
    def killed(self) -> bool:
        """Whether a signal ended it: then nobody knows what it would have printed besides."""
        return self.exit_status < 0 or 0 < self.exit_status - _SIGNALS <= _MOST_SIGNALS

    @property
    def stdout(self) -> str:
        return self.stdout_bytes.decode(errors="replace")

    @property
    def stderr(self) -> str:
        return self.stderr_bytes.decode(errors="replace")

    def last_lines(self, count: int = _LAST_LINES) -> tuple[str, ...]:
        """Return the last lines that are not blank, of stderr if it has any, else of stdout."""
        text = self.stderr if self.stderr.strip() else self.stdout
        return tuple(line for line in text.splitlines() if line.strip())[-count:]

    def whole(self, what: str) -> Completed:
        """Return self, whatever the exit status, unless a signal ended it. Raise HostError as `check` does."""
        return self.check(what) if self.killed else self

    def check(self, what: str) -> Completed:
        """Return self if the exit status is 0. Raise HostError: `what` failed, with the last lines it printed."""
        if self.ok:
            return self
        ended = "was ended by a signal" if self.killed else f"failed with exit status {self.exit_status}"
        lines = "".join(f"\n    {line}" for line in self.last_lines())
        raise HostError(f"{what} {ended}{lines}", where=self.host)


def checked(answers: Mapping[str, Completed | HostError], what: str) -> dict[str, Completed | HostError]:
    """Given what came of one command on several hosts, return it with a HostError where the command failed.

    For commands that end well whatever they find: there a failed one says nothing, not that there is nothing.
    """
    return {name: _checked(answer, what) for name, answer in answers.items()}


def _checked(answer: Completed | HostError, what: str) -> Completed | HostError:
    try:
        return answer if isinstance(answer, HostError) else answer.check(what)
    except HostError as error:
        return error
