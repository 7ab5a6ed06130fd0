#!/bin/sh
# Made by rackwright. Usage: restore.sh NAME FOLDER: restore what FOLDER/wanted lists, one line each: TARGET, then
# restic's arguments. The result is in RUNTIME_DIRECTORY, because FOLDER's disk may be full. With -vv among the
# arguments, each file is hashed as soon as it is complete. A second run continues the first: restic skips what is there.
verb=restore folder=$2 work=$RUNTIME_DIRECTORY/${2##*/}
. /etc/rackwright/backup/common.sh

# Another repository may be free.
patience=30s
ended() { printf '%s\n' "$1" >"$work.result.new"; mv -fT "$work.result.new" "$work.result"; }
fail() { ended "failed $(printf '%s' "$1" | tr '\n\t' '  ' | tr -cd ' -~' | cut -c -300)"; wait; exit 1; }
why() { # the first error, from restic's JSON
  said=$(sed -n '/"message":/ { s/\\u003c/</g; s/\\u003e/>/g; s/.*"message": *"\([^"]*\).*/\1/p; }' "$errors" | head -n 1)
  printf %s "${said:-$(words)}"
}
names() { # of the files that restic has restored or found, from its JSON
  sed -un '/"message_type":"verbose_status"/ {
    s/\\u003c/</g; s/\\u003e/>/g; s/\\u0026/\&/g; s/\\"/"/g; s/\\\\/\\/g
    s/.*"action":"[a-z]*","item":"\/\(.*\)","size":[0-9]*}$/\1/p
  }'
}
hashed() { # sha256 and name of each file of standard input; not of links and pipes. Its data is on disk afterwards
  # shellcheck disable=SC2016 # expanded inside
  (cd -- "$target" && xargs -r -d '\n' -n 1 -P "$(nproc)" sh -c '
    [ -L "$0" ] || [ ! -f "$0" ] || { sha256sum -- "$0" && sync -d -- "$0"; }')
}
try() { # as common.sh's
  rm -f "$said.code"
  { c=0; talk "$@" 2>"$errors" || c=$?; echo $c >"$said.code"; } | tee "$said" | names | hashed >"$said.hashes"
  code=$(cat "$said.code" 2>/dev/null || echo killed)
  [ "$code" != 0 ] || sed "s|  |  $target/|" "$said.hashes" >>"$work.hashes"
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
    *-vv*) restore ;;
    *) (said=$said.state errors=$errors.state; restore) & state=$! ;; # small, and done before the weights are
  esac
done <"$folder/wanted"
# If it has failed, it has said why.
[ -z "$state" ] || wait "$state" || exit 1
ended complete
