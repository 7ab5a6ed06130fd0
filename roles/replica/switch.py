"""Changes of an engine's unit: the new text replaces the old one, which is kept so that it can be restored."""

from __future__ import annotations

import secrets
import shlex

from rackwright.roles.replica.settings import Settings
from rackwright.roles.replica.unit import unit_digest

BEFORE = "/var/lib/rackwright/before"
"""Folder on each host with, for each unit, the text that ran before its last change."""

ACTS = "/run/rackwright-acts"
"""Folder on each host with, for each unit, the act that may change it now. A boot ends all acts and empties it."""

# After a timeout, a command may still be running on the host or may start late, and can't be ended from here. So each
# act first registers itself in place of the previous one, which then can't change anything any more. If the previous
# act is still under way, the new one waits for it.
_ALONE = """
exec 9>>"$acts"
flock -w 45 9 || { echo 'an earlier change of this engine is still under way' >&2; exit 1; }
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
[ "$(cat "$acts")" = "$act" ] || {{ echo 'a later change of this engine has started' >&2; exit 1; }}
"""

# A text that never ran must not be kept for a revert. A text that still runs, or was just restored, stays kept.
# systemd reloads its units even if the unit is already the new one, because the connection may have broken right
# before the reload of an earlier attempt.
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

# If the unit isn't the new one, it was never changed or is already restored; the kept text is of an earlier change.
_PUT_BACK = (
    _FENCE
    + """
umask 022
unit=$1 before=$2 new=$3
[ "$(sha256sum <"$unit" | cut -c 1-64)" = "$new" ] || { systemctl daemon-reload; exit; }
[ -s "$before" ] || { echo 'the unit that ran before was not kept' >&2; exit 1; }
cp -- "$before" "$unit.new"
sync "$unit.new"
mv -fT -- "$unit.new" "$unit"
sync "${unit%/*}"
systemctl daemon-reload
"""
)

# A start may take long. It doesn't keep the lock, so that a later act can restart the engine in the meantime.
_RESTART = _FENCE + 'exec 9>&-\nexec systemctl restart -- "$1"\n'


def new_act() -> str:
    """Return a name for one act."""
    return secrets.token_hex(8)


def begin_command(settings: Settings, act: str) -> str:
    """Return the command that lets only this act change the unit: no earlier act is under way after it, and late ones
    can't change anything. It fails if an earlier act takes longer than it waits."""
    return shlex.join(("sh", "-c", _BEGIN, "begin", _acts(settings), act))


def take_command(settings: Settings, act: str) -> str:
    """Return the command that replaces the unit with standard input and keeps the text that ran until now.

    Repeating it changes nothing. A running engine isn't restarted. Like the commands below, it fails and changes
    nothing unless the act has started and no other act has started since.
    """
    words = (_acts(settings), act, settings.unit_file, _before(settings), settings.started_digest)
    return shlex.join(("sh", "-c", _TAKE, "take", *words))


def revert_command(settings: Settings, act: str, taken: str | None = None) -> str:
    """Return the command that restores the unit that ran before `take_command`.

    `taken` is the sha256 of the unit that `take_command` wrote; by default, of the unit with these settings. Any
    other unit stays as it is. The command fails if no earlier text is kept.
    """
    words = (_acts(settings), act, settings.unit_file, _before(settings), taken or unit_digest(settings))
    return shlex.join(("sh", "-c", _PUT_BACK, "revert", *words))


def restart_command(settings: Settings, act: str) -> str:
    """Return the command that restarts the engine."""
    return shlex.join(("sh", "-c", _RESTART, "restart", _acts(settings), act, settings.unit))


def _acts(settings: Settings) -> str:
    return f"{ACTS}/{settings.unit}"


def _before(settings: Settings) -> str:
    return f"{BEFORE}/{settings.unit}"
