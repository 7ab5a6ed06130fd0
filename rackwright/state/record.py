"""A host's record: what the last run that finished there has installed."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.errors import RackwrightError
from rackwright.state.formats import Moment, parse
from rackwright.state.shell import FOLDER, Shell, call
from rackwright.values.base import Stored

# $1: folder, $2: name of the file.
WRITE = """set -eu
umask 022
mkdir -p -- "$1"
cd -- "$1"
trap 'rm -f -- "$2.$$"' EXIT
cat >"$2.$$"
sync "$2.$$"
mv -fT -- "$2.$$" "$2"
sync .
"""
READ = """set -eu
cd -- "$1" 2>/dev/null || exit 0
if [ -s "$2" ]; then cat -- "$2"; fi
"""


class Record(Stored):
    format: str = "record/1"
    fleet: str | None = None
    """The fleet's name; None: an older rackwright wrote it."""
    lock: str
    """Digest of the lock that the host runs."""
    versions: Mapping[str, str] = {}
    """What runs → its version, like llama_cpp → b6000 or assistant → the weights' digest."""
    when: Moment
    who: str
    run: str


def write_record(shell: Shell, record: Record, *, folder: str = FOLDER) -> None:
    """Write record.json to the host's disk. Raise HostError if it can't be written."""
    content = record.model_dump_json(indent=1) + "\n"
    call(shell, WRITE, folder, "record.json", stdin=content, what="writing the record")


def parse_record(text: str, where: str) -> Record:
    """Parse a host's record.json. Raise RackwrightError if it is damaged or of a newer rackwright."""
    return parse(Record, "record", text, where)


def applied_lock(text: str) -> str | None:
    """Given the text of a host's record.json, return the digest of the lock that was applied there.

    Return None if there is no record, and "" if it is damaged or of a newer rackwright: the next apply replaces it.
    """
    if not text.strip():
        return None
    try:
        return parse_record(text, "record.json").lock
    except RackwrightError:
        return ""
