"""How state reaches a host: one shell command at a time, over a remote Connection."""

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


def call(shell: Shell, script: str, *arguments: object, stdin: str | bytes | None = None, what: str) -> str:
    """Run a script with positional arguments and return what it printed. Raise HostError saying `what` failed."""
    words = " ".join(quote(str(argument)) for argument in arguments)
    return shell.run(f"set -- {words}\n{script}", stdin=stdin).check(what).stdout
