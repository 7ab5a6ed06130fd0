# Usage: read WHAT FOLDER DIGEST WRITER NOTE [SHA256 PATH]…
# Afterwards NOTE says that this host has read every file of FOLDER, which WRITER put there, and each was as it should
# be. Else the exit status isn't 0, and files that aren't are named.
set -eu
umask 022
what=$1 folder=$2 digest=$3 writer=$4 note=$5
shift 5
fail() { printf '%s: %s\n' "$what" "$1" >&2; exit 1; }
[ "$(cat -- "$folder/.verified" 2>/dev/null)" = "$digest" ] ||
  fail "$folder isn't there, or not whole; should be put there by $writer, for the folder is shared"
wrong=
while [ $# -ge 2 ]; do
  found=$(sha256sum < "$folder/$2" | cut -d ' ' -f 1) || found=unread
  [ "$found" = "$1" ] || wrong="$wrong $2 ($found, should be $1)"
  shift 2
done
[ -z "$wrong" ] || fail "read here, these differ from the lock:$wrong"
mkdir -p -- "$note"
printf '%s\n' "$digest" > "$note/.verified"
