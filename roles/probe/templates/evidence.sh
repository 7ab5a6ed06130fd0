# Usage: evidence UNIT METRICS. Keeps what tells why an engine hung, then kills it: systemd starts it again. It
# doesn't get the time that a drain takes: what hangs finishes nothing.
set -u
umask 077
unit=$1 metrics=$2
pid=$(systemctl show -P MainPID -- "$unit")
kept=/var/lib/rackwright/evidence/$(date -u +%Y%m%dT%H%M%SZ)-${unit%.service}
mkdir -p "$kept"
journalctl -q --no-hostname -n 200 -u "$unit" >"$kept/journal" 2>&1
systemctl show -- "$unit" >"$kept/unit" 2>&1
cp "$metrics" "$kept/metrics"
{ date +%s; cat /proc/uptime /proc/loadavg /proc/pressure/cpu "${metrics%.metrics}"; } >"$kept/state" 2>&1
for task in /proc/"$pid"/task/*; do
  echo "== ${task##*/}"
  grep -E '^(Name|State|voluntary_ctxt|nonvoluntary_ctxt)' "$task/status"
  for part in wchan syscall stack; do printf '%s: ' "$part"; cat "$task/$part" && echo; done
done >"$kept/threads" 2>&1
echo "$unit hung: evidence in $kept, killed for a new start" | systemd-cat -t rackwright -p warning
systemctl kill --signal=KILL -- "$unit"
