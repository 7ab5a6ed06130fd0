# Usage: read WHAT FOLDER DIGEST WRITER NOTE UNMOUNTED [SHA256 PATH]…
# Read every file of FOLDER, which WRITER created, and record in NOTE that all are correct. If some aren't, fail and list
# them. UNMOUNTED is the error if FOLDER is on the host's own disk. NOTE is valid only for the current folder: if it is
# replaced, it is read again.
set -eu
umask 022
what=$1 folder=$2 digest=$3 writer=$4 note=$5 unmounted=$6
shift 6
fail() { printf '%s: %s\n' "$what" "$1" >&2; exit 1; }
on=$folder
while [ ! -d "$on" ]; do on=$(dirname -- "$on"); done
[ "$(stat -c %d -- "$on")" != "$(stat -c %d -- /)" ] || fail "$unmounted"
# A server may treat root of this host as nobody.
[ ! -d "${folder%/*}" ] || [ -x "${folder%/*}" ] ||
  fail "root of this host may not enter ${folder%/*}. The server should export it to this host with no_root_squash"
[ "$(cat -- "$folder/.verified" 2>/dev/null)" = "$digest" ] ||
  fail "$folder is missing or incomplete. It is shared, and $writer should create it. If $writer is down, set \
disabled: REASON for it in the fleet file; then the next host that serves the model creates the folder"
seen=$(stat -c '%i %Y' -- "$folder/.verified")
wrong=
while [ $# -ge 2 ]; do
  if [ ! -f "$folder/$2" ]; then wrong="$wrong $2 (missing)"
  else
    found=$(sha256sum < "$folder/$2" | cut -d ' ' -f 1)
    [ "$found" = "$1" ] || wrong="$wrong $2 (${found:-unreadable}, should be $1)"
  fi
  shift 2
done
[ -z "$wrong" ] || fail "as read on this host, these files differ from the lock:$wrong"
mkdir -p -- "$note"
printf '%s %s %s\n' "$digest" "$seen" "$folder" > "$note/.verified"
