#!/bin/sh
# Made by rackwright. Usage: restore.sh NAME FOLDER: restore what FOLDER/wanted lists, one line each: TARGET, then
# restic's arguments. The result is in RUNTIME_DIRECTORY, because FOLDER's disk may be full. With -vv among the
# arguments, each file is hashed as soon as it is complete. A second run continues the first: restic skips what is there.
verb=restore folder=$2 work=$RUNTIME_DIRECTORY/${2##*/}
. /etc/rackwright/backup/common.sh
. /etc/rackwright/backup/hashes.sh

# Another repository may be free.
patience=30s
ended() { printf '%s\n' "$1" >"$said.ended"; mv -fT "$said.ended" "$work.result"; }
fail() { # ends the whole unit: systemd stops what else runs in it
  ended "failed $(printf '%s' "$1" | tr '\n\t' '  ' | tr -cd ' -~' | cut -c -300)"; kill $$; exit 1
}
why() { # the first error, from restic's JSON
  said=$(sed -n '/"message":/ { s/\\u003c/</g; s/\\u003e/>/g; s/.*"message": *"\([^"]*\).*/\1/p; }' "$errors" | head -n 1)
  printf %s "${said:-$(words)}"
}
restore() {
  mkdir -p -- "$target"
  # shellcheck disable=SC2086 # each word is an argument
  # Reading needs no lock: that of a machine which is gone must not stop a recovery.
  ask restore --no-lock --json --target "$target" $arguments || case $code in
    10) fail "the repository is gone" ;;
    12) fail "wrong password" ;;
    *) fail "not restored completely: $(why)" ;;
  esac
}

rm -f "$work.result" "$work.hashes"
state=''
while read -r target arguments; do
  case $arguments in
    *--verify*) (said=$said.state errors=$errors.state; restore) & state=$! ;; # small, and done before the weights are
    *) restore ;;
  esac
done <"$folder/wanted"
# If it has failed, it has said why.
[ -z "$state" ] || wait "$state" || exit 1
ended complete
