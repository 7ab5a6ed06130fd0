# systemd runs this when the engine's unit has stopped. If the engine crashed shortly after a request began, note
# the key of the last such request. A key that was noted too often is paused at this replica if other keys use it, too.
set -eu; umask 022
# KILL and TERM come from an operator, or from the probe that found the engine hung.
case ${SERVICE_RESULT:-}:${EXIT_STATUS:-} in
  signal:KILL | signal:TERM) exit 0 ;;
  signal:* | core-dump:* | exit-code:* | oom-kill:*) ;;
  *) exit 0 ;;
esac
# HAProxy's user may have put a link in the place of its socket. The answer is bounded for the same reason.
ask() { printf '%s\n' "$1" | socat -T 10 - "UNIX-CONNECT:$socket,su-e=$asks_as" | head -c 64M; }
began=$(stat -c %Y -- "$started")
now=$(date +%s)
exited=$(date -d "$(systemctl show --timestamp=us+utc -P ExecMainExitTimestamp -- "$unit")" +%s%3N)
since=$((exited - within * 1000))
[ "$since" -gt $((began * 1000)) ] || since=$((began * 1000))

key=$(ask 'show table starts' | awk -v replica="$replica" -v since="$since" -v until="$exited" '
  { split(substr($2, 5), part, "/") }
  part[1] == replica && part[3] + 0 >= since + 0 && part[3] + 0 <= until + 0 && part[3] + 0 >= last { last = part[3] + 0; key = part[2] }
  END { print key }')
case $key in '' | *[!a-z0-9-]*) exit 0 ;; esac

{ awk -v since=$((now - window)) '$1 + 0 > since + 0' "$file.ended" 2>/dev/null || :; echo "$now $key"; } >"$file.ended.new"
mv -f "$file.ended.new" "$file.ended"
times=$(awk -v key="$key" '$2 == key' "$file.ended" | wc -l)
[ "$times" -ge "$most" ] || exit 0
ask 'show table asking' | awk -v replica="$replica" -v key="$key" '
  { split(substr($2, 5), part, "/") } part[1] == replica && part[2] != key { found = 1 } END { exit !found }' || exit 0

until=$((now + pause))
ask "set table paused key $replica/$key data.gpt0 $until" >/dev/null
{ awk -v now="$now" -v key="$key" '$1 + 0 > now + 0 && $2 != key' "$file.paused" 2>/dev/null || :; echo "$until $key $times"; } >"$file.paused.new"
mv -f "$file.paused.new" "$file.paused"
echo "$unit: requests of key $key ended the engine $times times; it is paused there for $pause s" |
  systemd-cat -t rackwright -p warning
