# Usage: evidence UNIT METRICS REASON. Save evidence of why an engine hung or lost its GPU, then kill all its processes;
# systemd restarts it. There is no time for a drain, because a hung engine finishes nothing.
set -u
umask 077
unit=$1 metrics=$2 reason=$3
# On an overloaded host, hundreds of threads may take longer than the probe's time limit. Then only evidence is missing.
# systemd ends the other processes when it has run the unit's ExecStopPost, which a signal to all of them would kill as well.
trap 'systemctl kill --kill-whom=main --signal=KILL -- "$unit"' EXIT
trap 'exit 1' TERM
kept=/var/lib/rackwright/evidence/$(date -u +%Y%m%dT%H%M%SZ)-${unit%.service}
mkdir -p "$kept"
# An engine that hangs again and again must not fill the disk. Names begin with the time.
find "${kept%/*}" -maxdepth 1 -name "????????T??????Z-${unit%.service}" | sort -r | tail -n +"$((most + 1))" |
  while read -r old; do rm -rf -- "$old"; done
# Only what systemd logged about the unit: an engine's lines may quote prompts, and backups contain this folder.
journalctl -q --no-hostname -n 200 _PID=1 UNIT="$unit" >"$kept/journal" 2>&1
systemctl show -- "$unit" >"$kept/unit" 2>&1
cp "$metrics" "$kept/metrics" 2>/dev/null
{ date +%s; cat /proc/uptime /proc/loadavg /proc/pressure/cpu "${metrics%.metrics}"; } >"$kept/state" 2>&1
# One engine may be several processes: server, core and workers.
while read -r pid; do
  echo "= $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c -200)"
  for task in /proc/"$pid"/task/*; do
    echo "== ${task##*/}"
    grep -E '^(Name|State|voluntary_ctxt|nonvoluntary_ctxt)' "$task/status"
    for part in wchan syscall stack; do printf '%s: ' "$part"; cat "$task/$part" && echo; done
  done
done <"/sys/fs/cgroup$(systemctl show -P ControlGroup -- "$unit")/cgroup.procs" >"$kept/threads" 2>&1
echo "$unit: $reason: evidence in $kept, killed so that systemd restarts it" | systemd-cat -t rackwright -p warning
