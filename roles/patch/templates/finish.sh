#!/bin/sh
# Made by rackwright. Usage: finish.sh: start apt's timers again, and remove what the runs before the last one kept.
. "${0%/*}/common.sh"
sh "$folder/let-go.sh"
rm -rf -- "$folder/staged"
# Their names begin with the time.
for run in "${folder%/*}"/*/; do echo "${run%/}"; done | sort -r | sed 1,2d | while IFS= read -r old; do
  [ "$old" != "$folder" ] || continue
  systemctl is-active -q "rackwright-patch-${old##*/}.service" || rm -rf --one-file-system -- "$old"
done
