"""An engine's unit under change: the new text takes the place of the old, which is kept to be put back."""

from __future__ import annotations

import shlex

from rackwright.roles.replica.settings import Settings
from rackwright.roles.replica.unit import unit_digest

BEFORE = "/var/lib/rackwright/before"
"""Folder on each host: by unit, the text that ran before its last change."""

# A text that never ran is nothing to go back to. What runs still, or was just put back, stays kept. systemd reads the
# units anew also where nothing is to be done: the connection may have broken between that and a first time.
_TAKE = """set -eu
umask 022
unit=$1 before=$2 started=$3
digest() { sha256sum <"$1" | cut -c 1-64; }
cat >"$unit.new"
sync "$unit.new"
if cmp -s "$unit.new" "$unit"; then
  rm -f -- "$unit.new"
  systemctl daemon-reload
  exit
fi
install -d -m 0755 -- "${before%/*}"
runs=''
[ ! -s "$started" ] || runs=$(cut -c 1-64 "$started")
if [ -z "$runs" ] || [ "$(digest "$unit")" = "$runs" ]; then
  cp -- "$unit" "$before.new"
  sync "$before.new"
  mv -fT -- "$before.new" "$before"
elif [ -s "$before" ] && [ "$(digest "$before")" != "$runs" ] && ! cmp -s "$unit" "$before"; then
  rm -f -- "$before"
fi
mv -fT -- "$unit.new" "$unit"
sync "${before%/*}" "${unit%/*}"
systemctl daemon-reload
"""

# A unit that isn't the new one was never taken, or is put back already: then what is kept is from an earlier change.
_PUT_BACK = """set -eu
umask 022
unit=$1 before=$2 new=$3
[ "$(sha256sum <"$unit" | cut -c 1-64)" = "$new" ] || { systemctl daemon-reload; exit; }
[ -s "$before" ] || { echo 'nothing is kept of what ran before' >&2; exit 1; }
cp -- "$before" "$unit.new"
sync "$unit.new"
mv -fT -- "$unit.new" "$unit"
sync "${unit%/*}"
systemctl daemon-reload
"""


def take_command(settings: Settings) -> str:
    """Return the command after which the unit is what came on standard input; what ran until now is kept.

    Done again it changes nothing. A running engine goes on as it was started.
    """
    return shlex.join(("sh", "-c", _TAKE, "take", settings.unit_file, _before(settings), settings.started_digest))


def put_back_command(settings: Settings, taken: str | None = None) -> str:
    """Return the command after which the unit is what ran before it was taken.

    `taken` is the sha256 of what it became by that; of the unit by these settings where it is absent. A unit that
    isn't that one stays as it is. It fails where nothing is kept.
    """
    new = taken or unit_digest(settings)
    return shlex.join(("sh", "-c", _PUT_BACK, "put back", settings.unit_file, _before(settings), new))


def restart_command(settings: Settings) -> str:
    """Return the command after which the engine was started anew."""
    return shlex.join(("systemctl", "restart", "--", settings.unit))


def _before(settings: Settings) -> str:
    return f"{BEFORE}/{settings.unit}"
