"""Read and write state on a host, one shell command at a time, over a remote Connection."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rackwright.remote.completed import Completed

FOLDER = "/var/lib/rackwright"


class Shell(Protocol):
    """A host that runs shell commands as root; `rackwright.remote.Connection` is one."""

    @property
    def name(self) -> str: ...

    def run(
        self, command: str, *, stdin: str | bytes | None = None, sudo: bool = True, timeout: float | None = 60
    ) -> Completed: ...


def command(script: str, *arguments: object) -> str:
    """Return the script as one command that sets $1 and so on to the arguments."""
    return f"set -- {' '.join(quote(str(argument)) for argument in arguments)}\n{script}"


def call(shell: Shell, script: str, *arguments: object, stdin: str | bytes | None = None, what: str) -> str:
    """Run a script with positional arguments and return its output. Raise HostError, saying that `what` failed."""
    return shell.run(command(script, *arguments), stdin=stdin).check(what).stdout
