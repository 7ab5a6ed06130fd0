"""An engine's unit under change: the new text takes the place of the old, which is kept to be put back."""

from __future__ import annotations

import shlex

from rackwright.roles.replica.settings import Settings

BEFORE = "/var/lib/rackwright/before"
"""Folder on each host: by unit, the text that ran before its last change."""

# A text that never ran is nothing to go back to.
_TAKE = """set -eu
umask 022
unit=$1 before=$2 started=$3
cat >"$unit.new"
sync "$unit.new"
if cmp -s "$unit.new" "$unit"; then
  rm -f -- "$unit.new"
  exit
fi
install -d -m 0755 -- "${before%/*}"
if [ ! -s "$started" ] || [ "$(sha256sum <"$unit" | cut -c 1-64)" = "$(cut -c 1-64 "$started")" ]; then
  cp -- "$unit" "$before.new"
  sync "$before.new"
  mv -fT -- "$before.new" "$before"
else
  rm -f -- "$before"
fi
mv -fT -- "$unit.new" "$unit"
sync "${before%/*}" "${unit%/*}"
systemctl daemon-reload
"""

_PUT_BACK = """set -eu
umask 022
unit=$1 before=$2
[ -s "$before" ] || { echo 'nothing is kept of what ran before' >&2; exit 1; }
cmp -s "$before" "$unit" && exit
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


def put_back_command(settings: Settings) -> str:
    """Return the command after which the unit is what ran before its last change. It fails where nothing is kept."""
    return shlex.join(("sh", "-c", _PUT_BACK, "put back", settings.unit_file, _before(settings)))


def restart_command(settings: Settings) -> str:
    """Return the command after which the engine was started anew."""
    return shlex.join(("systemctl", "restart", "--", settings.unit))


def _before(settings: Settings) -> str:
    return f"{BEFORE}/{settings.unit}"
