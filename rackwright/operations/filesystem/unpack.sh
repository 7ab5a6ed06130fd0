# Usage: unpack ARCHIVE FOLDER DIGEST PROGRAM [ARGUMENT…]
# Put the files next to PROGRAM in the archive into FOLDER, owned by root and read-only, with the marker. First, PROGRAM
# is run once with these arguments, as an unprivileged user. FOLDER is never incomplete.
set -eu
umask 022
archive=$1 folder=$2 digest=$3 program=$4
shift 4
fail() { printf '%s: %s\n' "$folder" "$1" >&2; exit 1; }
partial=$folder.partial
rm -rf -- "$partial" "$partial.archive"
mkdir -p -- "$partial.archive"
trap 'rm -rf -- "$partial" "$partial.archive"' EXIT
tar --extract --file "$archive" --directory "$partial.archive" --no-same-owner --no-same-permissions
# Older releases of llama.cpp keep it in build/bin, newer ones in llama-bNNNN.
found=$(find "$partial.archive" -type f -name "$program" -print -quit)
[ -n "$found" ] || fail "no $program in the archive"
mv -T -- "$(dirname -- "$found")" "$partial"
chown -R root:root -- "$partial"
chmod -R u=rwX,go=rX,a-st -- "$partial"
chmod 0755 -- "$partial/$program"
said=$(setpriv --reuid=nobody --regid=nogroup --clear-groups "$partial/$program" "$@" 2>&1) ||
  fail "$program $* exited $?: $(printf '%s' "$said" | tail -n 3)"
printf '%s\n' "$digest" > "$partial/.verified"
chmod -R a-w -- "$partial"
put_in_place "$partial" "$folder"
rm -f -- "$archive" "${archive%.verified}.lock"
