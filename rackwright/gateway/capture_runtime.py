"""Captures on running gateways: which requests are recorded, and the unit that keeps them.

A capture outlasts a reload and a restart of HAProxy and of the host, because its shares are in a file and its orders
are, too. It ends by the gateway's own clock, whether or not anyone stops it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import TypeVar

from pydantic import ValidationError

from rackwright.errors import HostError
from rackwright.gateway.scripts import helpers
from rackwright.operations.haproxy.paths import DRAINS, Paths
from rackwright.remote import Completed, Remote, read_answer
from rackwright.roles.capture.settings import SERVICE, SOCKET, SOCKET_UNIT, STATE, USER, Orders
from rackwright.roles.gateway.configuration import CAPTURES, PATHS
from rackwright.values.base import Stored

Read = TypeVar("Read")
MOST_FILE = 64 * 2**20
_SECONDS = 300
_PER_PERCENT = 100
"""The map's unit is 1/100 %."""
_FILE = re.compile(r"([0-9]{8})-([0-9]{1,9})\.age")
_SHA256 = re.compile(r"[0-9a-f]{64}")

# The unit's user owns its files and may have put a link there, so root doesn't read, write or remove them itself.
_HELPERS = """migration={migration} state={state} user={user} units={units} captures=$configuration/{captures}
orders=$state/capture.json files=$state/files own=$state/files/{migration}
service={service} socket_unit={socket_unit} socket={socket}
"""
_FUNCTIONS = r"""
# The user may not enter the folder of the one who logs in.
cd /
# A user that an apply has removed with the unit left its files; nothing can put a link there any more.
as_user() {
    if id -u "$user" >/dev/null 2>&1; then
        setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs -- "$@"
    else
        "$@"
    fi
}
running() { [ -S "$run/sockets/master.sock" ]; }
has_own() { as_user test -d "$own"; }
# PID: give this worker the shares in $shares, and no others.
tell_captures() {
    tell "$1" "clear map $captures"
    printf '%s' "$shares" | while read -r name value; do tell "$1" "add map $captures $name $value"; done || exit 1
}
# A worker that starts later reads the file.
share() {
    printf '%s' "$shares" | install -T -m 0644 /dev/stdin "$captures.new"
    sync "$captures.new"; mv -fT "$captures.new" "$captures"
    if running; then each '' tell_captures; fi
}
# The migration that the unit has orders for, if any.
ordered() {
    sed -n 's/^{"format":"capture.1","migration":"\([a-z][a-z0-9-]*\)",.*/\1/p' "$orders" 2>/dev/null || true
}
"""

_START = r"""lock
[ -e "$units/$service" ] || {{ echo "this gateway has no $service; run: rackwright apply" >&2; exit 1; }}
answer admin "show map $captures"
case $said in '' | 0x*) ;; *) unexpected admin "show map $captures" ;; esac
other=$(ordered) until=$(($(date +%s) + {seconds}))
[ -z "$other" ] || [ "$other" = "$migration" ] || ! systemctl is-active -q "$service" ||
    {{ echo "it records for migration $other; run: rackwright migrate capture $other --stop" >&2; exit 1; }}
systemctl stop "$socket_unit" "$service"
printf '%s%s%s\n' {before} "$until" {after} | install -T -m 0644 /dev/stdin "$orders.new"
sync "$orders.new"; mv -fT "$orders.new" "$orders"
systemctl reset-failed -q "$service" "$socket_unit" 2>/dev/null || true
systemctl start "$socket_unit" "$service"
[ "$(printf 'end\n' | socat -t 30 - "UNIX-CONNECT:$socket")" = ok ] ||
    {{ echo "$service doesn't answer; see: journalctl -u $service" >&2; exit 1; }}
shares=$(printf '%s' {shares} | sed "s/|UNTIL|/|$until|/")
shares="$shares
"
share
printf '%s' "$shares" | while read -r name value; do knows "$captures" "$name" "$value"; done
"""

# The gateway's shares first: without them nothing more arrives, and the unit completes what it has. If an apply has
# removed the unit, with the last cloud or with the gateway, nothing is recorded any more.
_STOP = """[ "$(ordered)" = "$migration" ] || exit 0
[ -e "$units/$service" ] || { rm -f -- "$orders" "$captures"; exit 0; }
lock
[ "$(ordered)" = "$migration" ] || exit 0
shares=
share
systemctl stop "$socket_unit" "$service"
systemctl reset-failed -q "$service" 2>/dev/null || true
rm -f -- "$orders"
"""

# It completes its file at once, but a disk may be slow.
_COMPLETE = """[ "$(ordered)" = "$migration" ] && systemctl is-active -q "$service" || exit 0
systemctl reload "$service"
tries=100
while [ $((tries -= 1)) -gt 0 ] && as_user sh -c 'ls "$1" | grep -q "[.]part$"' ls "$own"; do sleep 0.2; done
"""

_LOOK = r"""if [ -f "$orders" ]; then echo '== orders'; head -c 65536 "$orders"; echo; fi
if systemctl is-active -q "$service"; then echo '== active'; fi
if has_own; then
    echo '== state'
    as_user head -c 65536 "$own/state.json" 2>/dev/null || true
    echo
    echo '== files'
    as_user find "$own" -mindepth 1 -maxdepth 1 -name '*.age' -type f -printf '%f %s\n'
fi
"""
_LIST = r"""if has_own; then
    as_user sh -c 'cd "$1" && for one in *.age; do
        [ ! -f "$one" ] || printf "%s %s\n" "$(sha256sum <"$one" | cut -d " " -f 1)" "$one"; done' list "$own"
fi
"""
_CAT = """as_user cat -- "$own"/{name}
"""
_REMOVE = """for name in {names}; do as_user rm -f -- "$own/$name"; done
as_user sync "$own"
"""
_ERASE = r"""[ "$(ordered)" != "$migration" ] || ! systemctl is-active -q "$service" ||
    { echo "it still records; run: rackwright migrate capture $migration --stop" >&2; exit 1; }
if has_own; then
    as_user rm -rf -- "$own"
    as_user sync "$files"
fi
! has_own || as_user find "$own" -printf '%f\n'
"""


class CaptureState(Stored):
    """What the unit says of its complete files, since the migration's first capture on this gateway."""

    format: str = "capture-state/1"
    migration: str
    until: int
    recorded: int
    bytes: int
    dropped: Mapping[str, int]
    """Why copies were dropped → how many. By the gateway: large (body), full (the unit was slow), undelivered (it was
    down), fault. By the unit: not_json, not_redacted, large (line), size and disk (the limit that ended it)."""
    personal: Mapping[str, int]
    """Kind of personal data → how many were replaced."""
    ended: str
    """duration, size or disk; "": it hasn't ended on its own."""


@dataclass(frozen=True)
class Looked:
    """A migration's capture on one gateway."""

    migration: str | None = None
    """The migration that the unit has orders for; None: none."""
    active: bool = False
    state: CaptureState | None = None
    """None: nothing was recorded for this migration."""
    files: int = 0
    """Complete files on the gateway."""
    bytes: int = 0


@dataclass(frozen=True)
class Found:
    """A complete file on a gateway."""

    name: str
    lines: int
    sha256: str


@dataclass(frozen=True)
class Captures:
    """The captures of these gateways. A method that asks all of them returns an error for each one that failed."""

    remote: Remote
    hosts: tuple[str, ...]
    paths: Paths = field(default=PATHS, repr=False)
    state: str = STATE
    user: str = USER
    units: str = "/etc/systemd/system"
    socket: str = SOCKET

    def start(self, orders: Orders, shares: Mapping[str, float], seconds: int) -> dict[str, HostError | None]:
        """Make each gateway record these percentages of the requests for these served names from now on.

        `orders.until` is replaced: the capture ends after `seconds`, by each gateway's clock. An earlier capture of
        the same migration goes on with the new orders; a running one of another migration is an error.
        """
        before, _, after = orders.model_copy(update={"until": 0}).model_dump_json().partition('"until":0')
        lines = "".join(
            f"{name} {max(1, round(percent * _PER_PERCENT))}|UNTIL|{orders.request}\n"
            for name, percent in sorted(shares.items())
        )
        words = {"before": quote(before + '"until":'), "after": quote(after), "shares": quote(lines)}
        script = _START.format(seconds=int(seconds), **words)
        return self._each(orders.migration, script, "starting the capture", _nothing)

    def stop(self, migration: str) -> dict[str, HostError | None]:
        """End the migration's capture on each gateway; what was recorded until then is in complete files."""
        return self._each(migration, _STOP, "stopping the capture", _nothing)

    def complete(self, migration: str) -> dict[str, HostError | None]:
        """Have each gateway complete the file that is open; a capture goes on in the next one."""
        return self._each(migration, _COMPLETE, "completing the open file", _nothing)

    def look(self, migration: str) -> dict[str, HostError | Looked]:
        """Return what each gateway has of the migration's capture."""
        return self._each(migration, _LOOK, "asking for the capture", parse_look)

    def files(self, migration: str) -> dict[str, HostError | tuple[Found, ...]]:
        """Return each gateway's complete files, oldest first."""
        return self._each(migration, _LIST, "listing the recorded files", parse_files)

    def fetch(self, host: str, migration: str, file: Found) -> bytes:
        """Return a file's content. Raise HostError if the gateway can't be asked."""
        script = self._script(migration, _CAT.format(name=quote(file.name)))
        done = self.remote.connection(host).run("sh -s", stdin=script, timeout=_SECONDS, limit=MOST_FILE)
        return done.check(f"reading {file.name}").stdout_bytes

    def remove(self, host: str, migration: str, files: Iterable[Found]) -> None:
        """Remove these files. Raise HostError if that isn't possible."""
        names = " ".join(quote(file.name) for file in files)
        script = self._script(migration, _REMOVE.format(names=names))
        done = self.remote.connection(host).run("sh -s", stdin=script, timeout=_SECONDS)
        done.check("removing the recorded files")

    def erase(self, migration: str) -> dict[str, HostError | tuple[str, ...]]:
        """Remove all that each gateway has recorded for the migration, whose capture must have ended.

        Return what each gateway still lists afterwards: nothing.
        """
        return self._each(migration, _ERASE, "erasing recorded requests", _lines)

    def _script(self, migration: str, script: str) -> str:
        values = {"migration": migration, "state": self.state, "user": self.user, "units": self.units}
        values["socket"] = self.socket
        quoted = {name: quote(value) for name, value in values.items()}
        names = {"captures": CAPTURES, "service": SERVICE, "socket_unit": SOCKET_UNIT}
        return helpers(self.paths, DRAINS) + _HELPERS.format(**quoted, **names) + _FUNCTIONS + script

    def _each(
        self, migration: str, script: str, what: str, parse: Callable[[str], Read]
    ) -> dict[str, HostError | Read]:
        done = self.remote.run_on(self.hosts, "sh -s", stdin=self._script(migration, script), timeout=_SECONDS)
        return {host: _read(host, answer, what, parse) for host, answer in done.items()}


def _read(host: str, answer: Completed | HostError, what: str, parse: Callable[[str], Read]) -> HostError | Read:
    try:
        if isinstance(answer, HostError):
            return answer
        if not answer.ok:
            why = " ".join(answer.last_lines(2)) or f"exit status {answer.exit_status}"
            return HostError(f"{what} failed: {why}", where=host)
        return read_answer(host, what, parse, answer.stdout)
    except HostError as error:
        return error


def _nothing(_: str) -> None:
    return None


def _lines(said: str) -> tuple[str, ...]:
    return tuple(said.splitlines())


def parse_look(said: str) -> Looked:
    """Parse what a gateway says of a capture. Raise ValueError if it isn't that."""
    sections = (part.partition("\n") for part in f"\n{said}".split("\n== ")[1:])
    parts = {head.strip(): body for head, _, body in sections}
    orders = _orders(parts["orders"]) if "orders" in parts else None
    sizes = [int(line.split(" ")[1]) for line in parts.get("files", "").splitlines()]
    text = parts.get("state", "").strip()
    state = CaptureState.model_validate_json(text) if text else None
    return Looked(orders, "active" in parts, state, len(sizes), sum(sizes))


def _orders(text: str) -> str:
    try:
        return Orders.model_validate_json(text).migration
    except ValidationError:
        raise ValueError("its orders can't be read") from None


def parse_files(said: str) -> tuple[Found, ...]:
    """Parse the list of a gateway's files. Raise ValueError if it isn't one."""
    found = []
    for line in said.splitlines():
        sha256, _, name = line.partition(" ")
        named = _FILE.fullmatch(name)
        if not named or not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a recorded file: {json.dumps(line)[:100]}")
        found.append(Found(name, int(named[2]), sha256))
    return tuple(sorted(found, key=lambda one: one.name))
