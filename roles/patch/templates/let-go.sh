#!/bin/sh
# Made by rackwright. Usage: let-go.sh: let apt's timers start again that hold-off.sh has stopped.
. "${0%/*}/common.sh"
[ -e "$folder/timers" ] || exit 0
systemctl -q unmask --runtime -- apt-daily.timer apt-daily-upgrade.timer
xargs -r systemctl -q start -- <"$folder/timers"
rm -f -- "$folder/timers"
systemctl -q stop "rackwright-let-go-${folder##*/}.timer" 2>/dev/null || :
