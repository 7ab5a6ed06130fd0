#!/bin/sh
# Written by rackwright. Usage: gpus-ready COUNT; engines start after it.
# Waits until the driver reports COUNT GPUs and, behind NVSwitches, the fabric of each is complete.
count=$1 tries=0
while :; do
  found=$(nvidia-smi -L 2>&1 | grep -c '^GPU ')
  open=unknown
  if said=$(nvidia-smi -q 2>/dev/null) || [ "$count" -eq 0 ]; then
    open=$(printf '%s\n' "$said" | awk '/^ *[A-Z][A-Za-z ]*$/ { f = $1 == "Fabric" && NF == 1 }
      f && ($1 == "State" || $1 == "Status") { sub(/^[^:]*: */, ""); n += !/^(Completed|Success|N\/A|Not Supported) *$/ }
      END { print n + 0 }')
  fi
  # GPUs before Hopper don't report the state of their fabric.
  ! systemctl -q is-enabled nvidia-fabricmanager.service 2>/dev/null ||
    systemctl -q is-active nvidia-fabricmanager.service || open="any GPU (nvidia-fabricmanager.service is not running)"
  [ "$found" -lt "$count" ] || [ "$open" != 0 ] || exit 0
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || break
  sleep 1
done
nvidia-smi -L >&2
# Engines get their GPUs by UUID, so a lost GPU must not keep the engines of the others down.
[ "$found" -eq 0 ] || [ "$open" != 0 ] || { echo "$found of $count GPUs answer" >&2; exit 0; }
echo "$found of $count GPUs answer, the fabric of $open is not complete (journalctl -u nvidia-fabricmanager)" >&2
exit 1
