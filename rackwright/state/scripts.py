"""The shell scripts that keep lease, journal and documents on a control host; $1 is their folder.

Scripts that change something keep one flock while they read and write, so that exactly one of several runs wins. A
file is replaced by a synced rename, so that a crash leaves either the old or the new one.

The lease file is a line `lease/1 TOKEN SINCE EXPIRES` (seconds of this host's clock), a line of JSON about its owner,
and a line `BOOT UPTIME EXPIRES`: the uptime (1/100 s) at which the lease ends while this host has this boot id. The
last line decides in that boot, so setting the clock neither ends a lease nor prolongs it. After a reboot the clock
decides, and also if the two EXPIRES differ: an earlier rackwright, which doesn't know the last line, renewed it.
"""

_HEADER = """
now=$(date +%s) format='' token=0 since=0 expires=0 owner='' booted='' until=0 of=''
read -r boot </proc/sys/kernel/random/boot_id
read -r uptime _ </proc/uptime
uptime=${uptime%.*}${uptime#*.}
if [ -s lease ]; then
  { read -r format token since expires || :; IFS= read -r owner || :; read -r booted until of || :; } <lease
fi
case $format in ''|lease/1) ;; *) echo "the lease was written by a newer rackwright ($format)" >&2; exit 76 ;; esac
if [ "$booted" = "$boot" ] && [ "$of" = "$expires" ]; then
  expires=$((now + (until - uptime + 99) / 100))
  [ "$expires" -ge 0 ] || expires=0
fi
shown() { [ -z "$format" ] || printf '%s\\n' "$format $token $since $expires" ${owner:+"$owner"}; }
"""

_LOCKED = (
    """set -eu
umask 077
mkdir -p -- "$1"
cd -- "$1"
exec 9>lock
flock -w 20 9 || { echo 'the lease file stayed locked for 20 s' >&2; exit 75; }
replace() { cat >"$1.new"; sync "$1.new"; mv -fT -- "$1.new" "$1"; sync .; }
"""
    + _HEADER
    + """
lasting() {
  format=lease/1 expires=$((now + $1))
  printf '%s\\n' "$format $token $since $expires" "$owner" "$boot $((uptime + 100 * $1)) $expires" | replace lease
}
"""
)

_MINE = """
if [ "$token" != "$2" ] || [ "$expires" -le "$now" ]; then
  echo "lost $now"
  shown
  exit 0
fi
"""

# $2: how many seconds it lasts; stdin: the owner.
ACQUIRE = (
    _LOCKED
    + """
if [ "$expires" -gt "$now" ]; then echo "leased $now"; shown; exit 0; fi
previous=$(shown)
next=$(cat token 2>/dev/null || echo 0)
if [ "$next" -lt "$token" ]; then next=$token; fi
token=$((next + 1)) since=$now owner=$(cat)
echo "$token" | replace token
lasting "$2"
echo "taken $now"
shown
printf '%s\\n' "$previous"
"""
)

# $2: token, $3: seconds from now.
RENEW = (
    _LOCKED
    + _MINE
    + """
lasting "$3"
echo "renewed $now"
shown
"""
)

# $2: token. An expired lease with the same token is removed, too: no other run has replaced it.
REMOVE = (
    _LOCKED
    + """
if [ "$token" != "$2" ]; then echo "lost $now"; shown; exit 0; fi
rm -f -- lease
sync .
echo "removed $now"
"""
)

SHOW = (
    """set -eu
cd -- "$1" 2>/dev/null || exit 0
[ -s lease ] || exit 0
"""
    + _HEADER
    + """
echo "now $now"
shown
"""
)

JOURNAL_KEPT = 2**20
"""The journal is trimmed to this many bytes when it has twice as many."""

# Prints the journal's last lines, and before them all lines of rollouts that may be open: `open_rollout` decides
# which one is. Therefore an incomplete line counts as opening a rollout, but never as closing one. In a JSON string,
# quotes are escaped, so no text looks like a field. Both passes read one descriptor: a trim in between doesn't affect
# it.
_WANTED = f"""
wanted() {{ LC_ALL=C awk -v kept={JOURNAL_KEPT} '
function rollout() {{ return match($0, /"rollout" *: *"[^"]*"/) ? substr($0, RSTART, RLENGTH) : "" }}
NR == FNR {{
  size += length($0) + 1
  if (/"event" *: *"opened"/) open[rollout()]
  else if (/"event" *: *"closed".*[^\\\\]"}}$/) delete open[rollout()]
  next
}}
{{ size -= length($0) + 1; if (size < kept || (rollout() in open)) print }}
' /proc/self/fd/3 /proc/self/fd/3 3<journal; }}
"""

# $2: token; stdin: lines. An incomplete line from a crash is ended first, so that the new one starts on its own line.
# The journal is trimmed after the lines are written; if that fails, it just stays long.
APPEND = (
    _LOCKED
    + _MINE
    + _WANTED
    + f"""
if [ -s journal ] && [ -n "$(tail -c 1 journal)" ]; then echo >>journal; fi
cat >>journal
sync journal .
size=$(stat -c %s journal)
trim() {{
  wanted >journal.new && [ "$size" -gt $((2 * $(stat -c %s journal.new))) ] &&
    sync journal.new && mv -fT -- journal.new journal && sync .
}}
[ "$size" -le {2 * JOURNAL_KEPT} ] || trim || rm -f -- journal.new || :
echo "written $now"
"""
)

READ = (
    """set -eu
cd -- "$1" 2>/dev/null || exit 0
[ -s journal ] || exit 0
"""
    + _WANTED
    + "wanted\n"
)

# $2: token, $3: name, $4: how many of its kind stay; stdin: the content. Names of one kind sort by a controller's
# time. Its clock may be behind, so the new file always stays.
KEEP = (
    _LOCKED
    + _MINE
    + """
replace "$3"
ls | grep "^${3%%-*}-.*[.]json$" | grep -vxF -e "$3" | sort | head -n "-$(($4 - 1))" |
    while IFS= read -r old; do rm -f -- "$old"; done
sync .
echo "kept $now"
"""
)

KEPT = """set -eu
cd -- "$1" 2>/dev/null || exit 0
if [ -s "$2" ]; then cat -- "$2"; fi
"""

# $1: folder of all documents, $2: folder below it, $3: name, $4: how many stay there, or nothing; stdin: the content.
# Names sort by a controller's time. Its clock may be behind, so the new file always stays.
PUT = """set -eu
umask 022
mkdir -p -- "$1/$2"
cd -- "$1/$2"
trap 'rm -f -- ".$3.$$"' EXIT
cat >".$3.$$"
sync ".$3.$$"
mv -fT -- ".$3.$$" "$3"
sync .
[ -n "$4" ] || exit 0
ls | grep -vxF -e "$3" | sort | head -n "-$(($4 - 1))" | while IFS= read -r old; do rm -f -- "$old"; done
"""

# The same words without $4. ln never replaces a file: if two runs write at once, one of them is first, and its file
# is complete.
PUT_FIRST = """set -eu
umask 022
mkdir -p -- "$1/$2"
cd -- "$1/$2"
trap 'rm -f -- ".$3.$$"' EXIT
cat >".$3.$$"
sync ".$3.$$"
ln -T -- ".$3.$$" "$3" 2>/dev/null || [ -e "$3" ]
sync .
cat -- "$3"
"""

# Prints a line to tell an empty document from none.
READ_DOCUMENT = """set -eu
file=$1/$2/$3
[ ! -e "$file" ] || { echo found; cat -- "$file"; }
"""

READ_FOLDER = """set -eu
cd -- "$1/$2" 2>/dev/null || exit 0
for file in *.json; do
    [ ! -f "$file" ] || { printf '%s\\n' "$file"; cat -- "$file"; printf '\\036'; }
done
"""

# $1: folder of all documents, $2: the folder for the lease, below it.
DUMP = """set -eu
cd -- "$1" 2>/dev/null || exit 0
control=$2
set --
for one in "$control/journal" "$control/token" "$control"/*.json golden bench canaries schedules migrations; do
    [ ! -e "$one" ] || set -- "$@" "$one"
done
[ $# -eq 0 ] || tar -c -z -f - -- "$@"
"""

# $2: token, $3: the token that the next one must exceed; stdin: the archive. This host's own journal is kept as
# journal.before. The greater token is kept, so that no earlier lease of this host can pass for a new one.
LOAD = (
    _LOCKED
    + _MINE
    + """
umask 022
rm -rf loaded
trap 'rm -rf loaded' EXIT
mkdir -p loaded/control loaded/first loaded/rest
tar -x -z -p --no-same-owner -f - -C loaded
find loaded -exec sync -- {} +
[ "$3" -le "$(cat token 2>/dev/null || echo 0)" ] || echo "$3" | (umask 077; replace token)
placed() {
    (cd "loaded/$1" && find . -type d) | while IFS= read -r folder; do mkdir -p -- "../$folder"; done
    (cd "loaded/$1" && find . -type f) | while IFS= read -r file; do "$2" "loaded/$1/$file" "../$file"; done
    (cd "loaded/$1" && find . -type d) | while IFS= read -r folder; do sync -- "../$folder"; done
}
unless_there() { ln -T -- "$1" "$2" 2>/dev/null || [ -e "$2" ]; }
instead() { mv -fT -- "$1" "$2"; }
placed first unless_there
placed rest instead
find loaded/control -type f -exec mv -f -t . -- {} +
[ ! -e journal ] || cmp -s journal loaded/journal || ln -f journal journal.before
if [ -e loaded/journal ]; then mv -fT loaded/journal journal; else rm -f journal; fi
sync .
echo "loaded $now"
"""
)
