#!/bin/sh
# Made by rackwright. Usage: run.sh STEP ARGUMENT…: run STEP.sh. STEP.log has the end of what it printed, STEP.found
# what it found, and STEP.result how it ended. Without a STEP.result it was cut off, and may run again.
set -eu
folder=${0%/*} step=$1
shift
trap : TERM # a shutdown waits for dpkg
umask 077
exec 8>"$folder/busy"
flock -n 8 || { echo "a step of this run is under way" >&2; exit 69; }
cut -d ' ' -f 1 /proc/uptime >"$folder/$step.started"
: >"$folder/$step.found"
rm -f -- "$folder/$step.pipe" "$folder/$step.read" "$folder/$step.log"
mkfifo -- "$folder/$step.pipe"
# Passwords in the addresses of apt's sources are left out. Of more than 1 MB, the last one to two are kept.
{
  awk -v log_file="$folder/$step.log" '
    { gsub(/:\/\/[^\/@ ]*@/, "://"); $0 = substr($0, 1, 2000); print; fflush() }
    (size += length + 1) > 1e6 { close(log_file); system("mv -f -- " log_file " " log_file ".1"); size = 0 }
    { print >log_file; fflush(log_file) }' <"$folder/$step.pipe"
  : >"$folder/$step.read"
} 8>&- &
umask 022
code=0
sh "$folder/$step.sh" "$@" </dev/null >"$folder/$step.pipe" 2>&1 8>&- || code=$?
# A process that a package has started may keep its output open.
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -e "$folder/$step.read" ] || sleep 0.1; done
rm -f -- "$folder/$step.pipe" "$folder/$step.read"
umask 077
case $code in 0) ended=complete ;; *) ended="failed $code" ;; esac
echo "$ended" >"$folder/$step.result.new"
sync -- "$folder/$step.found" "$folder/$step.result.new"
mv -fT -- "$folder/$step.result.new" "$folder/$step.result"
sync -- "$folder"
