#!/bin/sh
# Made by rackwright. Usage: check.sh NAME: check the repository's structure, and read the next part of its data.
verb=check
. /etc/rackwright/backup/common.sh

exec 9>"$RUNTIME_DIRECTORY/$name.lock"
flock 9
reach
next=$((${part:-0} % parts + 1))
ask check --read-data-subset="$next/$parts" || fail "damaged, or not read completely: $(words)"
check_at=$(now) part=$next
save
# A damaged repository is not pruned, because it may still be repaired.
[ "$append_only" = yes ] || ask prune -q || fail "not pruned: $(words)"
check_failed='' check_failed_at=''
save
