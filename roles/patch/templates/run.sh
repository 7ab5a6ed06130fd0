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
rm -f -- "$folder/$step.pipe" "$folder/$step.read" "$folder/$step".log*
mkfifo -- "$folder/$step.pipe"
# Passwords in the addresses of apt's sources are left out. Of more than 1 MB, the last one to two are kept.
{
  perl -e '
    my ($file, $size, $in) = (shift, 0, "");
    $SIG{PIPE} = "IGNORE";
    sub note {
      my $line = shift;
      $line =~ s{://[^/ ]*\@}{://}g;
      $line = substr($line, 0, 2000) . "\n";
      syswrite STDOUT, $line;
      if (!$size || ($size += length $line) > 1e6) {
        rename $file, "$file.1" if $size;
        open LOG, ">", $file;
        $size = length $line;
      }
      syswrite LOG, $line;
    }
    while (sysread STDIN, $in, 65536, length $in) {
      note($1) while $in =~ s/^(.*)\n// || $in =~ s/^(.{30000})//;
    }
    note($in) if length $in' "$folder/$step.log" <"$folder/$step.pipe"
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
