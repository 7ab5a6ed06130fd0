#!/bin/sh
# Made by rackwright. Usage: run.sh NAME: make one snapshot; it counts as good only if it has all files that it must have.
verb=run
. /etc/rackwright/backup/common.sh

exec 9>"$RUNTIME_DIRECTORY/$name.lock"
flock 9
for source in $sources; do
  [ -n "$(ls -A -- "$source" 2>/dev/null)" ] || fail "$source is missing or empty; is it mounted?"
done
reach
# shellcheck disable=SC2086 # each word is a path or an option
ask backup --json --host "$host" --tag rackwright $excludes -- $sources || fail "no complete snapshot: $(words)"
new=$(value snapshot_id) counted=$(value total_files_processed) size=$(value total_bytes_processed)
[ "${new:+${counted:-0}}" -gt 0 ] || fail "the snapshot is empty"
# shellcheck disable=SC2086
ask ls "$new" $must || fail "the snapshot can't be read: $(words)"
for path in $must; do
  grep -Fxq -e "$path" "$said" || fail "$path is not in the snapshot"
done
snapshot=$new snapshot_at=$(now) files=$counted bytes=$size
save

forget() { # restic returns 0 even if every deletion was refused, so check whether something is left to remove
  ask forget --json --keep-within "$keep" --group-by "" --host "$host" --tag rackwright "$@" || fail "old snapshots stay: $(words)"
  ! grep -q '"remove":\[{' "$said"
}
[ "$append_only" = yes ] || forget || forget --dry-run || fail "old snapshots stay: their deletion was refused"
run_failed='' run_failed_at=''
save
