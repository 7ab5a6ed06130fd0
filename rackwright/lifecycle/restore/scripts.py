"""What root runs on a host for a restore. Restored files are untrusted until they have been read and validated."""

from __future__ import annotations

from rackwright.roles.backup.settings import FOLDER, RESTORE_UNIT, RESTORES

RUN = "/run/rackwright-backup"
"""Has restore.sh's result and restic's output: the disk with the restored files may be full."""
READ_BYTES = 64 * 2**20
"""Most bytes of restored state that are read for validation."""

# $1: a folder; then names in it. Prints for each file: bytes, time of modification, path.
PRESENT = """cd -- "$1" 2>/dev/null || exit 0
shift
for name; do [ ! -e "$name" ] || find "$name" -type f ! -name '*\n*' -printf '%s %T@ %p\\n'; done
"""
# $1: a repository. Prints ready if the units that restore from it are installed, new if no apply was completed on
# this host, else old.
INSTALLED = f"""if [ -e "{FOLDER}/$1.values" ] && [ -e {FOLDER}/restore.sh ]; then echo ready
elif [ -e /var/lib/rackwright/record.json ]; then echo old
else echo new; fi
"""
# Prints the units through which clients are served now.
SERVING = """set -e
units=$(systemctl list-units --state=active,activating,reloading --plain --no-legend --no-pager \
    rackwright-gateway.service 'rackwright-*@*.service')
printf '%s\\n' "$units" | awk 'NF && $1 !~ /^rackwright-backup/ { print $1 }'
"""
# $1: the restore's folder; then, up to --, folders to create and the free bytes that each needs; then the arguments
# of systemd-run. Standard input: the list for restore.sh. If the same restore runs already, it continues.
START = f"""set -eu
umask 077
folder=$1
shift
mkdir -p -m 0700 -- {RESTORES}
exec 9>{RESTORES}.lock
flock -w 20 9
wanted=$(cat)
if systemctl is-active -q {RESTORE_UNIT}; then
    [ "$(cat {RESTORES}/running 2>/dev/null)" = "$folder" ] && [ "$(cat "$folder/wanted")" = "$wanted" ] && exit 0
    echo "another restore is running here: {RESTORE_UNIT}" >&2; exit 69
fi
systemctl reset-failed -q {RESTORE_UNIT} 2>/dev/null || true
needs=''
while [ "$1" != -- ]; do
    mkdir -p -m 0700 -- "$1"
    needs="$needs$(df -B1 --output=avail,target -- "$1" | tail -n 1) $(du -sB1 -- "$1" | cut -f 1) $2
"
    shift 2
done
shift
# Folders on one filesystem share its free space.
printf %s "$needs" | awk '
    {{ free[$2] = $1; needed[$2] += $4 > $3 ? $4 - $3 : 0 }}
    END {{ for (disk in free) if (needed[disk] > free[disk]) {{
        printf "%s has %d bytes free, should have %d\\n", disk, free[disk], needed[disk]; bad = 1 }}
    exit bad }}' >&2 || exit 73
: >"$folder/wanted"
[ -z "$wanted" ] || printf '%s\\n' "$wanted" >"$folder/wanted"
rm -f "{RUN}/${{folder##*/}}.result"
printf '%s\\n' "$folder" >{RESTORES}/running
systemd-run "$@"
"""
# $1: the restore's folder. Waits up to a second for the result. Prints the unit's state, the result if it has ended,
# restic's last line and last error.
LOOK = f"""said={RUN}/${{1##*/}}
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -e "$said.result" ] || sleep 0.1; done
systemctl show -P ActiveState -- {RESTORE_UNIT}
head -c 400 -- "$said.result" 2>/dev/null || echo
tail -n 1 -- "$said.said" 2>/dev/null | tail -c 2000 | tr -d '\\n'; echo
tail -n 1 -- "$said.errors" 2>/dev/null | tail -c 400
"""
# $1: the restored folder. Removes and prints what is neither file nor folder, or has a name that isn't plain.
STRANGE = """[ -d "$1" ] || exit 0
LC_ALL=C find "$1" -mindepth 1 \\( ! -type f ! -type d -o -name '-*' -o -name '*[![:alnum:]._@+=:,~%-]*' \\) \\
    -prune -printf '%y %P\\n' -exec rm -rf -- {} +
"""
# $1: the restored state, $2: the next state; then for each item: name, `files` or `whole`, mode of folders, of files.
# Content is copied: neither owners, modes nor attributes come from the snapshot, and no file of the host is shared
# with its copy, because a program that writes into one would change the state that a revert restores.
COMPOSE = """set -eu
umask 077
restored=$1 next=$2
shift 2
rm -rf -- "$next"
mkdir -p -- "$next"
while [ $# -ge 4 ]; do
    if [ -d "$restored/$1" ]; then
        if [ "$2" = files ] && [ -d "/var/lib/rackwright/$1" ]; then
            cp -a -- "/var/lib/rackwright/$1" "$next/$1"
        fi
        mkdir -p -- "$next/$1"
        cp -R --remove-destination -- "$restored/$1/." "$next/$1/"
        find "$next/$1" -type d -exec chmod "$3" {} +
        find "$restored/$1" -type f -printf '%P\\0' | (cd "$next/$1" && xargs -0r chmod "$4" --)
    fi
    shift 4
done
"""
# $1: the restored folder; standard input: names in it.
LEAVE_OUT = """set -eu
cd -- "$1"
xargs -r -d '\\n' rm -f --
"""
# $1: the restored state; then names. Puts the folders in them in place that the host lacks.
ADD = """set -eu
umask 022
cd -- "$1"
shift
for name; do
    for restored in "$name"/*; do
        [ -d "$restored" ] && [ ! -e "/var/lib/rackwright/$restored" ] || continue
        chown -R root:root -- "$restored"
        find "$restored" -type f -exec chmod 0444 {} +
        find "$restored" -type d -exec chmod u=rx,go=rx,a-st {} +
        mkdir -p -- "/var/lib/rackwright/$name"
        mv -T -- "$restored" "/var/lib/rackwright/$restored"
    done
done
"""
# $1: a folder; then names in it. Prints those that exist as tar.
SEND = """set -eu
cd -- "$1"
shift
for name; do
    shift
    [ ! -e "$name" ] || set -- "$@" "$name"
done
[ $# -eq 0 ] || tar -c -f - -- "$@"
"""
# $1: the folder of the restore: its replaced state becomes the one that a revert restores. Then folders of weights.
# What earlier restores have left is removed as well.
FINISH = f"""set -eu
cd -- {RESTORES}
systemctl stop -q {RESTORE_UNIT} 2>/dev/null || true
# The same snapshot again replaces only what it brought itself: what it replaced first stays the one to go back to. It
# may come from another repository: the folder's name is REPOSITORY-SNAPSHOT.
of=$(cat before/.of 2>/dev/null || true)
if [ -d "$1/before" ] && [ "${{of##*-}}" = "${{1##*-}}" ]; then
    rm -rf -- "$1/before"
elif [ -d "$1/before" ]; then
    rm -rf before.old undone
    printf '%s\\n' "${{1##*/}}" >"$1/before/.of"
    [ ! -e before ] || mv -T before before.old
    mv -T -- "$1/before" before
    sync .
fi
for left in *; do
    case $left in before | undone) ;; *) [ -d "$left/before" ] || rm -rf -- "$left" ;; esac
done
rm -rf -- {RUN}/"${{1##*/}}".*
shift
for folder; do rm -rf -- "$folder"; done
"""
# $1: the restore's folder: a repository that could not provide the files.
DISCARD = f"""systemctl stop -q {RESTORE_UNIT} 2>/dev/null || true
[ -d "$1/before" ] || rm -rf -- "$1"
rm -rf -- {RUN}/"${{1##*/}}".*
"""
DIFFERS = 65
"""Exit status of PLACE_WEIGHTS if the restored files aren't what the lock says."""
# $1: file with the hashes of what was restored, $2: where the weights were restored, $3: where verified files arrive,
# $4: PLACE, $5: the model's folder, $6: its digest, $7: its files' bytes and paths, one line each; then sha256 and
# path of each file. Nothing is moved unless every file is what the lock says; otherwise what was restored is removed.
# Bytes too, because restic can cut a file after it was hashed.
PLACE_WEIGHTS = """set -eu
umask 077
export LC_ALL=C
hashes=$1 restored=$2 incoming=$3 place=$4 folder=$5 digest=$6 sizes=$7
shift 7
list=$(pairs() { while [ $# -ge 2 ]; do printf '%s  %s\\n' "$1" "$restored/$2"; shift 2; done; }; pairs "$@")
odd=$(find "$restored" ! -type f ! -type d | head -n 1)
[ -z "$odd" ] || { echo "$odd is neither a file nor a folder" >&2; rm -rf -- "$restored"; exit 65; }
[ -e "$hashes" ] || { echo "its restore.sh hashed nothing: it is an older version; apply first" >&2; exit 1; }
sized() { while read -r bytes file; do
    [ "$(stat -c %s -- "$restored/$file" 2>/dev/null)" = "$bytes" ] || printf '%s\\n' "$restored/$file"
done; }
wrong=$(printf '%s\\n' "$list" | grep -Fxv -f "$hashes" || [ $? = 1 ])
wrong=$(printf '%s\\n' "$wrong" | cut -c 67-; printf '%s\\n' "$sizes" | sized)
[ -z "$wrong" ] ||
    { printf '%s\\n' "$wrong" | sort -u | sed '/./!d; s/$/: FAILED/' >&2; rm -rf -- "$restored"; exit 65; }
[ -d "$incoming" ] || install -d -m 0700 -- "$incoming"
printf '%s\\n' "$list" | while read -r sha256 file; do
    [ -e "$incoming/$sha256.verified" ] || mv -T -- "$file" "$incoming/$sha256.verified"
done
sh -c "$place" place "$incoming" "$folder" "$digest" "$@"
rm -rf -- "$restored"
rmdir --ignore-fail-on-non-empty -- "${restored%/*}"
"""
