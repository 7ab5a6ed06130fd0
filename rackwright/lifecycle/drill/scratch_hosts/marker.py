"""The marker on a scratch host: which drill uses it, and when that drill last gave a sign."""

from __future__ import annotations

import hashlib
from typing import Literal

from rackwright.errors import LeasedError, RackwrightError
from rackwright.lifecycle.drill.scratch_hosts.scratch import FOLDER
from rackwright.remote.connection import Connection
from rackwright.state.formats import Moment
from rackwright.state.shell import call, command
from rackwright.values.base import Stored
from rackwright.values.text import Line, Name

ALIVE_SECONDS = 900
"""A drill that gave no sign for this long, by the scratch host's clock, counts as ended."""
SIGN_SECONDS = 60
"""A drill gives a sign at least this often."""
NONE = "none"

# $1: the drill's folder, $2: the sha256 of the marker that is there now, or none; standard input: the new marker.
_CLAIM = """set -eu
umask 077
[ ! -L "$1" ] || { echo "$1 is a link" >&2; exit 65; }
[ -d "$1" ] || { mkdir -m 0700 -- "$1"; sync "${1%/*}"; }
chown root:root -- "$1"
chmod 0700 -- "$1"
cd -- "$1"
exec 9>lock
flock -w 10 9 || { echo "another drill is starting here" >&2; exit 75; }
found=none
[ ! -e drill ] || found=$(sha256sum <drill | cut -d ' ' -f 1)
[ "$found" = "$2" ] || { echo "another drill has taken this host in the meantime" >&2; exit 75; }
: >seen
if [ "$2" = none ]; then
    rm -f new-credential-secret journals
    [ -e /var/lib/systemd/credential.secret ] || : >new-credential-secret
    # The drill's entries get journal files of their own, which a wipe can remove.
    journalctl --quiet --rotate || true
    find /var/log/journal /run/log/journal -type f -name '*@*.journal*' 2>/dev/null >journals || true
fi
cat >drill.new
sync drill.new
mv -fT drill.new drill
sync .
"""
# $1: the drill's folder, $2: the sha256 of the drill's own marker.
_SIGN = """set -eu
cd -- "$1" 2>/dev/null || { echo "the marker is gone" >&2; exit 75; }
[ "$(sha256sum <drill | cut -d ' ' -f 1)" = "$2" ] || { echo "another drill has taken this host" >&2; exit 75; }
touch seen
"""
_TAKEN = 75
# Arguments as for _SIGN.
_LEAVE = """set -eu
cd -- "$1"
[ "$(sha256sum <drill | cut -d ' ' -f 1)" = "$2" ] || { echo "another drill has taken this host" >&2; exit 75; }
cd /
rm -rf --one-file-system -- "$1"
"""


class Marker(Stored):
    format: Literal["drill-host/1"] = "drill-host/1"
    fleet: Name
    drill: Line
    """The run's id."""
    who: Line
    time: Moment
    """When the drill took the host, by the controller's clock."""

    @property
    def text(self) -> str:
        return f"{self.model_dump_json()}\n"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def claim(connection: Connection, marker: Marker, *, found: str = NONE) -> None:
    """Write the marker, synced, before anything else. `found` is the sha256 of the marker that it replaces.

    Raise HostError if the host has another marker by now.
    """
    call(connection, _CLAIM, FOLDER, found, stdin=marker.text, what="taking the host for the drill")


def leave(connection: Connection, marker: Marker) -> None:
    """Remove the marker from a host on which nothing else was changed. Raise HostError if it isn't this one."""
    call(connection, _LEAVE, FOLDER, marker.sha256, what="leaving the host")


def give_sign(connection: Connection, marker: Marker) -> None:
    """Show that the drill is alive.

    Raise LeasedError if the host isn't this drill's any more, HostError if it can't be asked.
    """
    done = connection.run(command(_SIGN, FOLDER, marker.sha256))
    if done.exit_status == _TAKEN:
        said = " ".join(done.last_lines(1))[:100]
        raise LeasedError(f"is no longer this drill's: {said}", where=connection.name)
    done.check("the drill's sign of life")


def in_use(host: str, marker: Marker, age: int, *, known: bool = True) -> RackwrightError:
    """Return the refusal of a host that another drill uses; `age` is the time since its last sign, in seconds.

    `known`: this machine has a record of that drill, so that it may be taken over.
    """
    return RackwrightError(
        f"the drill {marker.drill} of {marker.who} uses this scratch host; its last sign is {age} s old",
        where=host,
        should=f"wait until it ends, or until it gives no sign for {ALIVE_SECONDS // 60} minutes",
        next="if its controller is gone: rackwright drill run --take-over" if known else None,
    )
