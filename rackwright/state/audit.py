"""The audit log: one line per act, on every host that it touched."""

from __future__ import annotations

from rackwright.state.formats import Moment
from rackwright.state.shell import FOLDER, Shell, call
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


class Act(Stored):
    format: str = "audit/1"
    time: Moment
    operator: str
    run: str
    command: str
    what: str
    outcome: str


def write_audit(shell: Shell, act: Act, *, folder: str = FOLDER) -> None:
    """The act's line is at the end of the host's audit.log, on disk. Raise HostError if it can't be written."""
    call(shell, _APPEND, folder, stdin=act.model_dump_json() + "\n", what="writing the audit log")
