# Usage: read WHAT FOLDER DIGEST WRITER NOTE UNMOUNTED [SHA256 PATH]…
# Afterwards NOTE says that this host has read every file of FOLDER, which WRITER put there, and each was as it should
# be. Else the exit status isn't 0, and files that aren't are named. UNMOUNTED is said where FOLDER is of the host's own
# disk. The note is of the folder as it is now: one that was put there again is read again.
set -eu
umask 022
what=$1 folder=$2 digest=$3 writer=$4 note=$5 unmounted=$6
shift 6
fail() { printf '%s: %s\n' "$what" "$1" >&2; exit 1; }
on=$folder
while [ ! -d "$on" ]; do on=$(dirname -- "$on"); done
[ "$(stat -c %d -- "$on")" != "$(stat -c %d -- /)" ] || fail "$unmounted"
[ "$(cat -- "$folder/.verified" 2>/dev/null)" = "$digest" ] ||
  fail "$folder isn't there, or not whole; should be put there by $writer, for the folder is shared. If $writer is away, \
say so in the fleet file (out: REASON), and the next host that serves the model puts it there"
seen=$(stat -c '%i %Y' -- "$folder/.verified")
wrong=
while [ $# -ge 2 ]; do
  if [ ! -f "$folder/$2" ]; then wrong="$wrong $2 (isn't there)"
  else
    found=$(sha256sum < "$folder/$2" | cut -d ' ' -f 1)
    [ "$found" = "$1" ] || wrong="$wrong $2 (${found:-unreadable}, should be $1)"
  fi
  shift 2
done
[ -z "$wrong" ] || fail "read here, these differ from the lock:$wrong"
mkdir -p -- "$note"
printf '%s %s %s\n' "$digest" "$seen" "$folder" > "$note/.verified"
