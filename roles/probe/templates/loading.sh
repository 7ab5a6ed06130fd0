# Usage: loading INVOCATION, at each look while the engine loads. Print why the load is stuck, or nothing. A load may take
# hours, but it computes or reads. Idle threads also use up to a tenth of a CPU second or of a MiB in ten seconds.
set -eu; umask 022; invocation=''; began=0; looked=0; moved=0; mark=0
while IFS='=' read -r key value; do
  case $key in invocation | began | looked | moved | mark) export "$key=$value" ;; esac
done 2>/dev/null <"$file" || :
now=$(cut -d . -f 1 /proc/uptime)
# CPU seconds plus MiB read, for all its processes.
work=$(
  cd "/sys/fs/cgroup$(systemctl show -P ControlGroup -- "$unit")"
  { cat cpu.stat; while read -r pid; do cat "/proc/$pid/io"; done <cgroup.procs; } 2>/dev/null |
    awk '/^usage_usec/ { s += $2 / 1e6 } /^(rchar|read_bytes):/ { s += $2 / 2^20 } END { printf "%.0f", s }'
)
[ "$invocation" = "$1" ] && [ $((now - looked)) -lt 60 ] || began=$now moved=$now mark=$work
if [ $((work - mark)) -ge "$least" ] || [ "$work" -lt "$mark" ]; then mark=$work moved=$now; fi
printf '%s=%s\n' invocation "$1" began "$began" looked "$now" moved "$moved" mark "$mark" >"$file.new"
mv -f "$file.new" "$file"
if [ $((now - began)) -ge "$longest" ]; then echo "it has been loading for $longest s"
elif [ $((now - moved)) -ge "$stall" ]; then echo "it is loading, but has neither computed nor read for $stall s$hint"; fi
