"""The audit log: one line per act, on every host that it touched."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.errors import Problem, RackwrightError
from rackwright.state.formats import Moment, parse
from rackwright.state.shell import FOLDER, Shell, call, command
from rackwright.values import Stored

_APPEND = """set -eu
umask 077
mkdir -p -- "$1"
cd -- "$1"
exec 9>>audit.log
flock -w 20 9
if [ -s audit.log ] && [ -n "$(tail -c 1 audit.log)" ]; then echo >&9; fi
cat >&9
sync audit.log .
"""
_READ = """set -eu
if [ -e "$1/audit.log" ]; then cat -- "$1/audit.log"; fi
"""


class Act(Stored):
    format: str = "audit/1"
    time: Moment
    operator: str
    run: str
    command: str
    what: str
    outcome: str


@dataclass(frozen=True)
class AuditLog:
    """One host's audit.log."""

    acts: tuple[Act, ...] = ()
    damaged: tuple[Problem, ...] = ()
    """Each line that is no act, or one of a newer format."""


def write_audit(shell: Shell, act: Act, *, folder: str = FOLDER) -> None:
    """The act's line is at the end of the host's audit.log, on disk. Raise HostError if it can't be written."""
    call(shell, _APPEND, folder, stdin=act.model_dump_json() + "\n", what="writing the audit log")


def read_audit(shell: Shell, *, folder: str = FOLDER) -> AuditLog:
    """Return the whole log in its own order; none is an empty one. Raise HostError if it can't be read.

    Read as the login user where that may (group adm: an auditor), else as root.
    """
    script = command(_READ, folder)
    read = shell.run(script, sudo=False)
    text = (read if read.ok else shell.run(script)).check("reading the audit log").stdout
    acts: list[Act] = []
    damaged: list[Problem] = []
    # Only a newline ends a line: splitlines() knows more ends, which stand within a JSON string as they are.
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        try:
            acts.append(parse(Act, "audit", line, f"{shell.name}: {folder}/audit.log:{number}"))
        except RackwrightError as error:
            damaged += error.problems
    return AuditLog(tuple(acts), tuple(damaged))
