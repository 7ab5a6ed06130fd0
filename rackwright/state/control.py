"""Which hosts are the control hosts, recorded on every host so that they can't change unnoticed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rackwright.state.api_keys.control_keys import MERGE
from rackwright.state.formats import Moment, kind_of, parse
from rackwright.state.record import READ, WRITE
from rackwright.state.shell import FOLDER, Shell, call, command
from rackwright.values.base import Stored
from rackwright.values.text import enumerated

NAME = "control-host.json"

# Data from another host is limited in size, and may contain neither links nor devices. This host may have changes of
# API keys that the former one lacks, so they are merged.
_RECEIVE = (
    MERGE
    + """set -eu
umask 077
mkdir -p -- "$1/control"
cd -- "$1"
exec 9>control/lock
flock -w 20 9
rm -rf moved
trap 'rm -rf moved' EXIT
mkdir moved
gzip -dc | head -c 536870912 | tar -x --no-same-owner -f - -C moved
[ -z "$(find moved ! -type f ! -type d)" ] || { echo 'the other host sent something other than files' >&2; exit 65; }
find moved -exec sync -- {} +
if [ -d moved/fleet ]; then rm -rf fleet fleet.old; cp -a moved/fleet .; fi
[ ! -f moved/kit.json ] || cp -a moved/kit.json .
if [ -f moved/keys.pushed ]; then grep ' @ ' moved/keys.pushed | merge_keys; fi
sync .
"""
)
_SEND = """set -eu
cd -- "$1"
set --
for one in fleet keys.pushed kit.json; do
    [ ! -e "$one" ] || set -- "$@" "$one"
done
[ $# -eq 0 ] || tar -c -z -f - -- "$@"
"""


class ControlRecord(Stored):
    """Which hosts have lease and journal, as recorded on one host."""

    format: str = "control-hosts/1"
    hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    """One keeps them in files, three or five in etcd."""
    number: int
    """Grows with each move: the record with the greater number is the newer one."""
    since: Moment
    who: str
    """The operator who moved them there, or created the fleet."""

    def __str__(self) -> str:
        """Return like `gate1 is the control host`."""
        are = "is the control host" if len(self.hosts) == 1 else "are the control hosts"
        return f"{enumerated(self.hosts)} {are}"


class _OneHost(Stored):
    """The record of before there could be several control hosts. This kind has another name, so that a rackwright of
    that time refuses the present one instead of taking a lease in files."""

    format: str
    host: str
    number: int
    since: Moment
    who: str


def read_command(folder: str = FOLDER) -> str:
    """Return a command that prints a host's record, or nothing if it has none."""
    return command(READ, folder, NAME)


def parse_control(text: str, where: str) -> ControlRecord | None:
    """Given the command's output, return the record. Raise RackwrightError if it is damaged or of a newer format."""
    where = f"{where}: {FOLDER}/{NAME}"
    if not text:
        return None
    if kind_of(text) == "control-host":
        alone = parse(_OneHost, "control-host", text, where)
        return ControlRecord(hosts=(alone.host,), number=alone.number, since=alone.since, who=alone.who)
    return parse(ControlRecord, "control-hosts", text, where)


def read_control(shell: Shell, *, folder: str = FOLDER) -> ControlRecord | None:
    """Return the host's record, None if it has none. Raise HostError if it can't be asked."""
    return parse_control(call(shell, READ, folder, NAME, what="reading the record of the control host"), shell.name)


def write_control(shell: Shell, record: ControlRecord, *, folder: str = FOLDER) -> None:
    """Write the record to the host's disk. Raise HostError if it can't be written."""
    content = record.model_dump_json(indent=1) + "\n"
    call(shell, WRITE, folder, NAME, stdin=content, what="recording the control host")


def copy_files(source: Shell, target: Shell, *, folder: str = FOLDER) -> None:
    """Copy what a ControlStore doesn't hold from source to target.

    That is the applied fleet, changes of API keys, the record of the kit. Raise HostError if a host can't read or
    write it.
    """
    packed = source.run(command(_SEND, folder)).check("reading the control host's state").stdout_bytes
    if packed:
        target.run(command(_RECEIVE, folder), stdin=packed).check("storing the control host's state")
