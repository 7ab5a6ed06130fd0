#!/bin/sh
# Written by rackwright. Usage: gpus-ready COUNT; engines start after it.
# Waits until the driver answers with so many GPUs and, behind NVSwitches, the fabric of each is complete.
count=$1 tries=0
while :; do
  found=$(nvidia-smi -L 2>&1 | grep -c '^GPU ')
  open=unknown
  if said=$(nvidia-smi -q 2>/dev/null) || [ "$count" -eq 0 ]; then
    open=$(printf '%s\n' "$said" | awk '$1 == "Fabric" { f = 1 }
      f && $1 == "State" { f = 0; sub(/^[^:]*: */, ""); n += !/^(Completed|N\/A|Not Supported) *$/ } END { print n + 0 }')
  fi
  [ "$found" -lt "$count" ] || [ "$open" != 0 ] || exit 0
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || break
  sleep 1
done
nvidia-smi -L >&2
echo "$found of $count GPUs answer, the fabric of $open is not complete (journalctl -u nvidia-fabricmanager)" >&2
exit 1
