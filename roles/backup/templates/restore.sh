#!/bin/sh
# Made by rackwright. Usage: restore.sh NAME FOLDER: restore what FOLDER/wanted lists, one line each: TARGET, then
# restic's arguments. FOLDER/result says how it ended. A second run continues the first: restic skips what is there.
verb=restore work=$2/restic
folder=$2
. /etc/rackwright/backup/common.sh

# Another repository may be free.
patience=30s
ended() { printf '%s\n' "$1" >"$folder/result.new"; sync "$folder/result.new"; mv -fT "$folder/result.new" "$folder/result"; }
fail() { ended "failed $(printf '%s' "$1" | tr '\n\t' '  ' | tr -cd ' -~' | cut -c -300)"; exit 1; }

rm -f "$folder/result"
while read -r target arguments; do
  mkdir -p -- "$target"
  # shellcheck disable=SC2086 # each word is an argument
  ask restore --json --target "$target" $arguments || case $code in
    10) fail "the repository is gone" ;;
    12) fail "wrong password" ;;
    *) fail "not restored completely: $(words)" ;;
  esac
done <"$folder/wanted"
ended complete
