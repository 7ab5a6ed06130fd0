"""Hashes of a host's state as it was restored: later, it can be shown that the host still has all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rackwright.lifecycle.restore.items import AUDIT, ITEMS, USAGE, Combined
from rackwright.lifecycle.restore.plan import Files
from rackwright.remote import Connection
from rackwright.remote.answers import read_answer
from rackwright.state.shell import command

# $1: a folder; standard input: lines BYTES NAME. Prints the sha256 of the first BYTES of each file that is there.
FIRST_HASHES = """set -eu
cd -- "$1"
while read -r size name; do
    [ -f "$name" ] || continue
    printf '%s %s\\n' "$(head -c "$size" -- "$name" | sha256sum | cut -c 1-64)" "$name"
done
"""
_SECONDS = 600


def stays(name: str) -> bool:
    """Return whether a restore leaves the file as it was saved: as a whole, or, of the audit log, as its beginning.
    A day of usage is left so on a host that lacks it.

    Builds and packages aren't meant: an apply hashes each of them before it uses it.
    """
    files = [item.name for item in ITEMS if item.combined is Combined.FILES]
    return name == AUDIT.name or name.startswith(f"{USAGE.name}/days/") or name.partition("/")[0] in files


def first_hashes(shell: Connection, folder: str, files: Files) -> Mapping[str, str]:
    """Return the sha256 of each of these files that is in the folder, up to the size that `files` says, by name.

    Raise HostError if the host can't be asked.
    """
    listed = "".join(f"{file.bytes} {name}\n" for name, file in files.items())
    asking = "hashing the restored state"
    done = shell.run(command(FIRST_HASHES, folder), stdin=listed, timeout=_SECONDS).check(asking)
    return read_answer(shell.name, asking, parse_first_hashes, done.stdout)


def parse_first_hashes(output: str) -> Mapping[str, str]:
    """Parse what the script prints. Raise ValueError if a line isn't a hash and a name."""
    found = {}
    for line in output.removesuffix("\n").split("\n") if output else ():
        match = re.fullmatch(r"([0-9a-f]{64}) (.+)", line)
        if not match:
            raise ValueError("no hash")
        found[match[2]] = match[1]
    return found
