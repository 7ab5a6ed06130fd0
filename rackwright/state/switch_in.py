"""Put a host's restored state in place: logs and tokens only grow, and what is replaced can be restored.

All scripts can run again after a crash at any point, and then finish what they began. $1 is /var/lib/rackwright.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rackwright.errors import HostError
from rackwright.state.shell import FOLDER, Shell, call, command

LEASES_SINCE = 1_000_000
"""How much a token is raised: more than the number of leases since a snapshot, so that no earlier lease passes."""
_UNION = "union() { LC_ALL=C awk 'length($0) && !seen[$0]++' \"$@\"; }\n"

# $2: the restored log. Other writers append to the file while they lock it, so it keeps its inode: it is overwritten
# under the lock. If this ends early, what it was about to write is still in audit.log.restored.
_AUDIT = f"""set -eu
umask 077
cd -- "$1"
{_UNION}
exec 9>>audit.log
flock -w 20 9
[ ! -e audit.log.restored ] || union audit.log.restored audit.log >audit.log.union
[ -e audit.log.union ] || cp -- audit.log audit.log.union
union "$2" audit.log.union >audit.log.new
rm -f audit.log.union
if [ ! -e audit.log.restored ] && cmp -s audit.log.new audit.log; then rm audit.log.new; exit 0; fi
sync audit.log.new; mv -fT audit.log.new audit.log.restored; sync .
cat audit.log.restored >audit.log
chown root:adm audit.log; chmod 0640 audit.log
sync audit.log
rm -f audit.log.restored
sync .
"""

# $2: the restored folder control, $3: by how much its token is raised. Writers of the journal keep the lock.
_CONTROL = f"""set -eu
umask 077
mkdir -p -- "$1/control"
cd -- "$1/control"
{_UNION}
exec 9>lock
flock -w 20 9 || {{ echo 'the lease file stayed locked for 20 s' >&2; exit 75; }}
replace() {{ cat >"$1.new"; sync "$1.new"; mv -fT -- "$1.new" "$1"; sync .; }}
token() {{ head -c 12 "$1" 2>/dev/null | grep -xE '[0-9]{{1,11}}' || echo 0; }}
raised=$(($(token "$2/token") + $3))
[ "$raised" -le "$(token token)" ] || echo "$raised" | replace token
touch journal
if [ -s "$2/journal" ]; then union "$2/journal" journal | replace journal; fi
for file in "$2"/*.json; do
    [ ! -f "$file" ] || [ -e "${{file##*/}}" ] || replace "${{file##*/}}" <"$file"
done
"""

# $2: the folder with the new state, $3: where the present one is kept; then names. Each name is renamed away and
# replaced, so that a name is missing only between two renames.
_SWITCH = """set -eu
umask 077
cd -- "$1"
exec 9>restore.lock
flock -w 20 9
next=$2 before=$3
shift 3
mkdir -p -- "$before"
find "$next" -exec sync -- {} +
for name; do
    [ -e "$next/$name" ] || continue
    [ -e "$before/$name" ] || [ -e "$before/$name.absent" ] || {
        if [ -e "$name" ]; then mv -T -- "$name" "$before/$name"; else : >"$before/$name.absent"; fi
    }
    # Written since an earlier, interrupted switch.
    [ ! -e "$name" ] || mv -T -- "$name" "$before/$name.between"
    mv -T -- "$next/$name" "$name"
done
sync . "$before"
"""

# $2: where the replaced state is kept, $3: where the present one goes. Prints the reverted names.
_UNDO = """set -eu
umask 077
cd -- "$1"
exec 9>restore.lock
flock -w 20 9
before=$2 undone=$3
[ -d "$before" ] || { echo "there is nothing to revert in $before" >&2; exit 66; }
mkdir -p -- "$undone"
for kept in "$before"/*; do
    name=${kept##*/}
    case $name in
      '*' | *.between) continue ;;
      *.absent) name=${name%.absent}; [ ! -e "$name" ] || mv -T -- "$name" "$undone/$name" ;;
      *) [ ! -e "$name" ] || [ -e "$undone/$name" ] || mv -T -- "$name" "$undone/$name"
         mv -T -- "$kept" "$name" ;;
    esac
    rm -f -- "$before/$name.absent"
    printf '%s\\n' "$name"
done
rmdir --ignore-fail-on-non-empty -- "$before"
sync . "$undone"
"""


def merge_audit(shell: Shell, restored: str, *, folder: str = FOLDER) -> None:
    """Put the lines of the restored audit log before those that only the host has. Raise HostError if that fails."""
    call(shell, _AUDIT, folder, restored, what="merging the audit logs")


def merge_control(shell: Shell, restored: str, *, folder: str = FOLDER) -> None:
    """Merge the restored folder `control` into the host's: journal, documents of rollouts, fencing token.

    The lease is left alone. The token ends up greater than that of any lease taken since the snapshot. Raise
    HostError if that fails.
    """
    call(shell, _CONTROL, folder, restored, LEASES_SINCE, what="merging the journals")


def switch_in(shell: Shell, next: str, before: str, names: Iterable[str], *, folder: str = FOLDER) -> None:
    """Replace these parts of the state by those in `next`; what they replace is kept in `before`.

    Raise HostError if that fails; then this can be called again.
    """
    call(shell, _SWITCH, folder, next, before, *names, what="switching in the restored state")


def revert(shell: Shell, before: str, undone: str, *, folder: str = FOLDER) -> Sequence[str]:
    """Restore what `switch_in` kept in `before`, and return its names; the present state is kept in `undone`.

    Raise HostError if there is nothing to revert.
    """
    done = shell.run(command(_UNDO, folder, before, undone))
    if done.exit_status == _NOTHING:
        raise HostError("no restore to undo", where=shell.name, should="a restore can be undone once")
    return done.check("reverting the restore").stdout.splitlines()


_NOTHING = 66
