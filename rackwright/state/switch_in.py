"""Put a host's restored state in place: logs and tokens only grow, and what is replaced can be restored.

All scripts can run again after a crash at any point, and then finish what they began. $1 is /var/lib/rackwright.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rackwright.errors import HostError
from rackwright.state.shell import FOLDER, Shell, call, command

LEASES_SINCE = 1_000_000
"""How much a token is raised: more than the number of leases since a snapshot, so that no earlier lease passes."""
RAISABLE = "0|[1-9][0-9]{0,9}"
"""Pattern of a fencing token that a snapshot may have. Raised, it has the 11 digits that leases allow, or fewer."""
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
chown root:adm audit.log || :
chmod 0640 audit.log
sync audit.log
rm -f audit.log.restored
sync .
"""

# $2: the restored folder control, $3: by how much its token is raised, $4: lines that the merged journal ends with.
# Writers of the journal keep the lock. A token has 10 digits at most: leases allow 11.
_CONTROL = f"""set -eu
umask 077
mkdir -p -- "$1/control"
cd -- "$1/control"
{_UNION}
exec 9>lock
flock -w 20 9 || {{ echo 'the lease file stayed locked for 20 s' >&2; exit 75; }}
replace() {{ cat >"$1.new"; sync "$1.new"; mv -fT -- "$1.new" "$1"; sync .; }}
token() {{ head -c 12 "$1" 2>/dev/null | grep -xE "$2" || echo 0; }}
raised=$(($(token "$2/token" '{RAISABLE}') + $3))
[ "$raised" -le "$(token token '0|[1-9][0-9]{{0,10}}')" ] || echo "$raised" | replace token
touch journal
if [ -s "$2/journal" ]; then
    union "$2/journal" journal >journal.new
    printf %s "$4" >>journal.new
    sync journal.new; mv -fT journal.new journal; sync .
fi
for file in "$2"/*.json; do
    [ ! -f "$file" ] || [ -e "${{file##*/}}" ] || replace "${{file##*/}}" <"$file"
done
"""

# $2: the restored folder usage. The usage program adds the state to its own at its next run.
_USAGE = """set -eu
umask 077
mkdir -p -- "$1/usage/days"
cd -- "$1/usage"
place() { cp -- "$1" "$2.placed"; sync "$2.placed"; mv -fT -- "$2.placed" "$2"; }
for day in "$2"/days/*.json; do
    name=days/${day##*/}
    [ ! -f "$day" ] || [ -e "$name" ] || place "$day" "$name"
done
[ ! -f "$2/state.json" ] || place "$2/state.json" restored.json
sync . days
"""

# $2: the folder of restores; $3: the `before` of the restore that is to go on, '' for none. A part that a crash left
# between two renames returns to its place, with what was written there since. Another restore that never ended
# counts as ended: what it replaced becomes the one that a revert restores.
_SETTLE = """set -eu
umask 077
cd -- "$1"
exec 9>restore.lock
flock -w 20 9
restores=$2 own=$3
# A merge of audit logs that a crash cut off while it wrote.
if [ -e audit.log.restored ]; then
    exec 8>>audit.log
    flock -w 20 8
    LC_ALL=C awk 'length($0) && !seen[$0]++' audit.log.restored audit.log >audit.log.new
    sync audit.log.new; mv -fT audit.log.new audit.log.restored
    cat audit.log.restored >audit.log
    sync audit.log; rm -f audit.log.restored
fi
for before in "$restores"/*/before; do
    [ -d "$before" ] || continue
    for started in "$before"/*.started; do
        [ -e "$started" ] || continue
        name=${started##*/} name=${name%.started}
        latest=$before/$name.between
        [ -e "$latest" ] || latest=$before/$name
        if [ -e "$latest" ] && ! { [ -e "$name" ] && grep -qx -e "$(stat -c %i -- "$name")" "$started"; }; then
            [ ! -e "$name" ] || { cp -a -- "$name/." "$latest/"; rm -rf -- "$name"; }
            mv -T -- "$latest" "$name"
        fi
        rm -f -- "$started"
    done
    [ "$before" != "$own" ] || continue
    rm -rf -- "$restores/before.old" "$restores/undone"
    [ ! -e "$restores/before" ] || mv -T -- "$restores/before" "$restores/before.old"
    mv -T -- "$before" "$restores/before"
    rm -rf -- "$restores/before.old"
done
"""

# $2: the folder with the new state, $3: where the present one is kept; then names. Each name is renamed away and
# replaced, so that a name is missing only between two renames. NAME.started has the inodes of both until then.
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
    stat -c %i -- "$next/$name" >"$before/$name.started"
    [ ! -e "$name" ] || stat -c %i -- "$name" >>"$before/$name.started"
    [ -e "$before/$name" ] || [ -e "$before/$name.absent" ] || {
        if [ -e "$name" ]; then mv -T -- "$name" "$before/$name"; else : >"$before/$name.absent"; fi
    }
    # Put in place by an earlier, interrupted switch.
    [ ! -e "$name" ] || { rm -rf -- "$before/$name.between"; mv -T -- "$name" "$before/$name.between"; }
    mv -T -- "$next/$name" "$name"
    rm -f -- "$before/$name.started"
done
sync . "$before"
"""

# $2: where the replaced state is kept. Prints for each of its parts that has changed since: files, name.
_CHANGED = """set -eu
cd -- "$1"
for kept in "$2"/*; do
    name=${kept##*/} name=${name%.absent}
    case $name in '*' | *.between) continue ;; esac
    [ ! -d "$name" ] || printf '%s %s\\n' "$(find "$name" -type f -newer "$2" | wc -l)" "$name"
done
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
away() { # NAME: an earlier, interrupted undo may have put one there
    [ -e "$1" ] || return 0
    if [ -e "$undone/$1" ]; then rm -rf -- "$undone/$1.since"; mv -T -- "$1" "$undone/$1.since"
    else mv -T -- "$1" "$undone/$1"; fi
}
for kept in "$before"/*; do
    name=${kept##*/}
    case $name in
      # An older applied fleet would let files pass that are older than what was applied last.
      '*' | fleet | fleet.absent) continue ;;
      *.between) rm -rf -- "${undone:?}/$name"; mv -T -- "$kept" "$undone/$name"; continue ;;
      *.absent) name=${name%.absent}; away "$name"; rm -f -- "$kept" ;;
      *) away "$name"; mv -T -- "$kept" "$name" ;;
    esac
    printf '%s\\n' "$name"
done
rm -rf -- "$before/fleet" "$before/fleet.absent" "$before/.of"
rmdir -- "$before"
sync . "$undone"
"""


def merge_audit(shell: Shell, restored: str, *, folder: str = FOLDER) -> None:
    """Put the lines of the restored audit log before those that only the host has. Raise HostError if that fails."""
    call(shell, _AUDIT, folder, restored, what="merging the audit logs")


def merge_control(shell: Shell, restored: str, *, closing: str = "", folder: str = FOLDER) -> None:
    """Merge the restored folder `control` into the host's: journal, documents of rollouts, fencing token.

    The lease is left alone. The token ends up greater than that of any lease taken since the snapshot. `closing` are
    lines that the merged journal ends with: no crash leaves the rollout open that they close. Raise HostError if
    that fails.
    """
    call(shell, _CONTROL, folder, restored, LEASES_SINCE, closing, what="merging the journals")


def merge_usage(shell: Shell, restored: str, *, folder: str = FOLDER) -> None:
    """Give the gateway the days of the restored folder `usage` that it lacks; its usage program adds the open ones.

    Raise HostError if that fails.
    """
    call(shell, _USAGE, folder, restored, what="merging the usage")


def settle(shell: Shell, restores: str, *, going_on: str = "", folder: str = FOLDER) -> None:
    """Complete what crashes left of earlier switches, in any restore's folder in `restores`: no part is missing.

    `going_on` is the `before` of the restore that will go on. Any other one becomes `restores`/before, which a
    revert restores. Raise HostError if that fails; then this can be called again.
    """
    call(shell, _SETTLE, folder, restores, going_on, what="completing an earlier restore")


def switch_in(shell: Shell, next: str, before: str, names: Iterable[str], *, folder: str = FOLDER) -> None:
    """Replace these parts of the state by those in `next`; what they replace is kept in `before`.

    Raise HostError if that fails; then this can be called again.
    """
    call(shell, _SWITCH, folder, next, before, *names, what="switching in the restored state")


def changed_since(shell: Shell, before: str, *, folder: str = FOLDER) -> Sequence[str]:
    """Return what has changed since the switch that kept `before`, in words: an undo takes it away."""
    found = call(shell, _CHANGED, folder, before, what="looking for what has changed since the restore")
    rows = (line.partition(" ") for line in found.splitlines())
    return [f"{name}: {count} files" for count, _, name in rows if count != "0"]


def revert(shell: Shell, before: str, undone: str, *, folder: str = FOLDER) -> Sequence[str]:
    """Restore what `switch_in` kept in `before`, and return its names; the present state is kept in `undone`.

    Raise HostError if there is nothing to revert.
    """
    done = shell.run(command(_UNDO, folder, before, undone))
    if done.exit_status == _NOTHING:
        raise HostError("no restore to undo", where=shell.name, should="a restore can be undone once")
    return done.check("reverting the restore").stdout.splitlines()


_NOTHING = 66
