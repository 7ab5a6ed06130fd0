# systemd runs this when the engine's unit has stopped. If the engine crashed or hung, find the API keys whose requests may
# be the cause.
set -eu; umask 022; state='' moved=0 invocation=''
# HAProxy's user may have put a link in the place of its socket. The answer is bounded for the same reason.
ask() { printf '%s\n' "$1" | socat -T 10 - "UNIX-CONNECT:$socket,su-e=$asks_as" | head -c 64M; }
# MILLISECONDS MILLISECONDS: the requests that the engine got and that began in this time, or before it if they waited for a
# slot: 1 if they were answered, MILLISECONDS KEY.
starts() {
  ask 'show table starts' | awk -v replica="$replica" -v since="$1" -v until="$2" -v queue="$queue" '
    { split(substr($2, 5), part, "/"); key = part[2]; began = part[3]; waited = part[5] * queue * 1000 }
    part[1] != replica || key !~ /^[a-z0-9-]+$/ || / gpc0=0/ { next }
    began + waited >= since + 0 && began + 0 <= until + 0 { print / gpt0=1/, began, key }'
}
# The key of the last request before a crash, if it began shortly before; of one that wasn't answered, if there is one.
# SECONDS: when the engine was started.
crashed_by() {
  exited=$(date -d "$(systemctl show --timestamp=us+utc -P ExecMainExitTimestamp -- "$unit")" +%s%3N)
  since=$((exited - within * 1000))
  [ "$since" -gt $(($1 * 1000)) ] || since=$(($1 * 1000))
  starts "$since" "$exited" | sort -k 1,1nr -k 2,2n | tail -n 1 | awk '{ print 1, $3 }'
}
# Requests that the engine didn't answer and that began about when it stopped working: how many of each key. The probe may
# have seen only five seconds later that the engine had worked.
hung_by() {
  stood=$(($(date +%s) - $(cut -d . -f 1 /proc/uptime) + moved))
  starts $(((stood - 5) * 1000)) $(((stood + within) * 1000)) | awk '$1 == 0 { n[$3]++ } END { for (key in n) print n[key], key }'
}

while IFS='=' read -r key value; do
  case $key in state | moved | invocation) export "$key=$value" ;; esac
done 2>/dev/null <"$file" || :
case ${SERVICE_RESULT:-}:${EXIT_STATUS:-}:$state in
  signal:KILL:hung) [ "$invocation" = "${INVOCATION_ID:-}" ] || exit 0; keys=$(hung_by) ;;
  # An operator.
  signal:KILL:* | signal:TERM:*) exit 0 ;;
  signal:* | core-dump:* | exit-code:* | oom-kill:*)
    # It has a job if an operator stops it, and may then end with an error.
    job=$(systemctl show -P Job -- "$unit")
    [ "${job:-0}" = 0 ] || exit 0
    keys=$(crashed_by "$(stat -c %Y -- "$started")") ;;
  *) exit 0 ;;
esac
[ -z "$keys" ] || printf '%s\n' "$keys" | /bin/sh "${0%.ended}.pause"
