"""What a command on a host came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from rackwright.errors import HostError

_LAST_LINES = 5


class CommandTimeout(HostError):
    """A command took longer than it may. The connection stays good."""


@dataclass(frozen=True)
class Completed:
    exit_status: int
    """-1 when a signal ended the command."""
    stdout_bytes: bytes = field(default=b"", repr=False)
    stderr_bytes: bytes = field(default=b"", repr=False)
    host: str = ""

    @property
    def ok(self) -> bool:
        return self.exit_status == 0

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

    def check(self, what: str) -> Completed:
        """Return self if the exit status is 0. Raise HostError: `what` failed, with the last lines it printed."""
        if self.ok:
            return self
        ended = "was ended by a signal" if self.exit_status < 0 else f"failed with exit status {self.exit_status}"
        lines = "".join(f"\n    {line}" for line in self.last_lines())
        raise HostError(f"{what} {ended}{lines}", where=self.host)
