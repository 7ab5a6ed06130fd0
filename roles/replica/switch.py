"""An engine's unit under change: the new text takes the place of the old, which is kept to be put back."""

from __future__ import annotations

import secrets
import shlex

from rackwright.roles.replica.settings import Settings
from rackwright.roles.replica.unit import unit_digest

BEFORE = "/var/lib/rackwright/before"
"""Folder on each host: by unit, the text that ran before its last change."""

ACTS = "/run/rackwright-acts"
"""Folder on each host: by unit, the act that may change it now. A boot ends what was under way, and empties it."""

# A command that we gave up may still run over there, or begin late: nobody here can end it. So each act first takes
# the place of the one before, which then changes nothing more; while that one is under way, it waits.
_ALONE = """
exec 9>>"$acts"
flock -w 45 9 || { echo 'an earlier act on this engine has not ended yet' >&2; exit 1; }
"""
_BEGIN = f"""set -eu
umask 077
acts=$1
mkdir -p -- "${{acts%/*}}"
{_ALONE}
printf '%s\\n' "$2" >"$acts"
"""
_FENCE = f"""set -eu
acts=$1 act=$2
shift 2
{_ALONE}
[ "$(cat "$acts")" = "$act" ] || {{ echo 'a later act on this engine has begun' >&2; exit 1; }}
"""

# A text that never ran is nothing to go back to. What runs still, or was just put back, stays kept. systemd reads the
# units anew also where nothing is to be done: the connection may have broken between that and a first time.
_TAKE = (
    _FENCE
    + """
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
)

# A unit that isn't the new one was never taken, or is put back already: then what is kept is from an earlier change.
_PUT_BACK = (
    _FENCE
    + """
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
)

# A start may take long, and whoever comes after it may start the engine anew meanwhile: it holds nobody up.
_RESTART = _FENCE + 'exec 9>&-\nexec systemctl restart -- "$1"\n'


def new_act() -> str:
    """Return a name for one act."""
    return secrets.token_hex(8)


def begin_command(settings: Settings, act: str) -> str:
    """Return the command after which this act alone may change the unit: of those before it none is under way, and
    none that is late changes anything. It fails where one takes longer than we wait."""
    return shlex.join(("sh", "-c", _BEGIN, "begin", _acts(settings), act))


def take_command(settings: Settings, act: str) -> str:
    """Return the command after which the unit is what came on standard input; what ran until now is kept.

    Done again it changes nothing. A running engine goes on as it was started. So for those below: it fails, changing
    nothing, unless the act was begun, and no other since.
    """
    words = (_acts(settings), act, settings.unit_file, _before(settings), settings.started_digest)
    return shlex.join(("sh", "-c", _TAKE, "take", *words))


def revert_command(settings: Settings, act: str, taken: str | None = None) -> str:
    """Return the command after which the unit is what ran before it was taken.

    `taken` is the sha256 of what it became by that; of the unit by these settings where it is absent. A unit that
    isn't that one stays as it is. It fails where nothing is kept.
    """
    words = (_acts(settings), act, settings.unit_file, _before(settings), taken or unit_digest(settings))
    return shlex.join(("sh", "-c", _PUT_BACK, "revert", *words))


def restart_command(settings: Settings, act: str) -> str:
    """Return the command after which the engine was started anew."""
    return shlex.join(("sh", "-c", _RESTART, "restart", _acts(settings), act, settings.unit))


def _acts(settings: Settings) -> str:
    return f"{ACTS}/{settings.unit}"


def _before(settings: Settings) -> str:
    return f"{BEFORE}/{settings.unit}"
