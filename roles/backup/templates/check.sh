#!/bin/sh
# Made by rackwright. Usage: check.sh NAME: check the repository's structure, read the next part of its data, and remove
# old snapshots.
verb=check
. /etc/rackwright/backup/common.sh

exec 9>"$RUNTIME_DIRECTORY/$name.lock"
flock 9
reach
next=$((${part:-0} % parts + 1))
ask check --read-data-subset="$next/$parts" || fail "damaged, or not read completely: $(words)"
check_at=$(now) part=$next
save
forget() { # restic returns 0 even if every deletion was refused, so check whether something is left to remove
  ask forget --json --keep-within "$keep" --group-by "" --host "$host" --tag rackwright "$@" || fail "old snapshots stay: $(words)"
  ! grep -q '"remove":\[{' "$said"
}
# Nothing is removed from a damaged repository, because it may still be repaired.
if [ "$append_only" != yes ]; then
  forget || forget --dry-run || fail "old snapshots stay: their deletion was refused"
  ask prune -q || fail "not pruned: $(words)"
fi
check_failed='' check_failed_at=''
save
