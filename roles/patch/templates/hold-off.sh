#!/bin/sh
# Made by rackwright. Usage: hold-off.sh PATIENCE: keep apt's timers from starting, and wait for an apt that runs.
. "${0%/*}/common.sh"

# Which of them run is known only before the first time.
if [ ! -e "$folder/timers" ]; then
  for timer in apt-daily.timer apt-daily-upgrade.timer; do
    ! systemctl is-active -q "$timer" || echo "$timer"
  done >"$folder/timers.new"
  written "$folder/timers.new" "$folder/timers"
fi
systemctl -q stop -- apt-daily.timer apt-daily-upgrade.timer
# A mask in /run ends with the next boot.
systemctl -q mask --runtime -- apt-daily.timer apt-daily-upgrade.timer
# If nobody comes back to this run, the timers aren't stopped forever.
let_go=rackwright-let-go-${folder##*/}
systemctl is-active -q "$let_go.timer" ||
  systemd-run --quiet --collect --on-active=1d --unit="$let_go" sh "$folder/let-go.sh"
end=$(($(uptime) + $1))
for unit in apt-daily.service apt-daily-upgrade.service; do
  while case $(systemctl show -P ActiveState "$unit") in active | activating | deactivating) ;; *) false ;; esac; do
    [ "$(uptime)" -lt "$end" ] || { found locked "$unit" '' "$(systemctl show -P MainPID "$unit") $unit"; exit 1; }
    sleep 1
  done
done
# shellcheck disable=SC2086 # each word is a file
wait_for "$1" $locks
