"""The audit log: one line per act, on every host that it touched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rackwright.errors import Problem, RackwrightError
from rackwright.remote.answers import read_answer
from rackwright.state.formats import Moment, parse
from rackwright.state.shell import FOLDER, Shell, call, command
from rackwright.values.base import Stored

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
READ_BYTES = 32 * 2**20
"""Bytes at the log's end that are read at once. rackwright never removes anything from the log."""
_LEFT_OUT = "left out "
# $2: how many bytes. If the log is longer, the first line says how many lines were left out.
_READ = f"""set -eu
[ -e "$1/audit.log" ] || exit 0
cd -- "$1"
before=$(($(stat -c %s audit.log) - $2))
[ "$before" -gt 0 ] || exec cat audit.log
echo "{_LEFT_OUT}$(($(head -c "$before" audit.log | wc -l) + 1))"
tail -c "$2" audit.log | tail -n +2
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
    """Lines that can't be read as acts or have a newer format, and a note about lines that were not read."""


def write_audit(shell: Shell, act: Act, *, folder: str = FOLDER) -> None:
    """Append the act to the host's audit.log and sync it. Raise HostError if it can't be written."""
    call(shell, _APPEND, folder, stdin=act.model_dump_json() + "\n", what="writing the audit log")


def read_audit(shell: Shell, *, folder: str = FOLDER) -> AuditLog:
    """Return the log in its own order, an empty one if there is no file. Raise HostError if it can't be read.

    It is read as the login user if they have permission (group adm: an auditor), if not as root. If it is longer than
    READ_BYTES, only its last lines are returned, and `damaged` says how many were left out.
    """
    script = command(_READ, folder, READ_BYTES)
    read = shell.run(script, sudo=False)
    text = (read if read.ok else shell.run(script)).check("reading the audit log").stdout
    where = f"{shell.name}: {folder}/audit.log"
    # Not splitlines(): it also splits at characters that JSON strings may contain.
    lines = text.removesuffix("\n").split("\n") if text else []
    if not lines or not lines[0].startswith(_LEFT_OUT):
        return _parsed(lines, where)
    before = read_answer(shell.name, "its audit log", int, lines[0].removeprefix(_LEFT_OUT))
    log = _parsed(lines[1:], where, before)
    older = Problem(where, f"is too long: its first {before} lines were not read", next="read them on the host")
    return AuditLog(log.acts, (older, *log.damaged))


def _parsed(lines: Iterable[str], where: str, before: int = 0) -> AuditLog:
    acts: list[Act] = []
    damaged: list[Problem] = []
    for number, line in enumerate(lines, before + 1):
        try:
            acts.append(parse(Act, "audit", line, f"{where}:{number}"))
        except RackwrightError as error:
            damaged += error.problems
    return AuditLog(tuple(acts), tuple(damaged))
