#!/bin/sh
# Made by rackwright. Usage: run.sh NAME: make one snapshot; it counts as good only if it has all files that it must have.
verb=run
. /etc/rackwright/backup/common.sh

exec 9>"$RUNTIME_DIRECTORY/$name.lock"
flock 9
for source in $sources; do
  [ -n "$(ls -A -- "$source" 2>/dev/null)" ] || fail "$source is missing or empty; is it mounted?"
done
made() { # with -vv, restic names each file that is in the snapshot
  # shellcheck disable=SC2086 # each word is a path or an option
  ask backup --json -vv --host "$host" --tag rackwright $excludes "$@" -- $sources
}
mounted
# One of several control hosts has journal and documents in etcd. Its unit has written them to files before.
[ ! -e /etc/rackwright/etcd/member.env ] || [ -e "$RUNTIME_DIRECTORY/$name.exported" ] ||
  fail "what etcd holds could not be written to files: $(tail -n 1 "$RUNTIME_DIRECTORY/$name.exported.said")"
code=none
# Only the repository that was used before has the last snapshot: one call of restic proves it and makes the next one.
if [ -n "$snapshot" ] && [ -z "$run_failed" ]; then made --parent "$snapshot" || :; fi
case $code in 0 | 3) ;; *) reach; made || : ;; esac
[ "$code" = 0 ] || fail "no complete snapshot: $(words)"
new=$(value snapshot_id) counted=$(value total_files_processed) size=$(value total_bytes_processed)
[ "${new:+${counted:-0}}" -gt 0 ] || fail "the snapshot is empty"
for path in $must; do
  grep -Fq -e "\"item\":\"$path\"," "$said" || fail "$path is not in the snapshot"
done
snapshot=$new snapshot_at=$(now) files=$counted bytes=$size run_failed='' run_failed_at=''
save
