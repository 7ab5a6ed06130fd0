#!/bin/sh
# Made by rackwright. Usage: check.sh NAME: the repository's structure, and the next part of its data read.
verb=check
. /etc/rackwright/backup/common.sh

exec 9>"$RUNTIME_DIRECTORY/$name.lock"
flock 9
reach
next=$((${part:-0} % parts + 1))
ask check --read-data-subset="$next/$parts" || fail "damaged, or not read to its end: $(words)"
check_at=$(now) part=$next
save
# What is damaged is not pruned: it may still be mended.
[ "$append_only" = yes ] || ask prune -q || fail "not pruned: $(words)"
check_failed='' check_failed_at=''
save
