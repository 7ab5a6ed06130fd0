# The rule: a busy engine's counter must move, and an idle engine must answer a short request, both within the
# deadline. A hung engine is killed only once until it has been ready. If .unfit prints a reason, the replica is faulted,
# whatever its engine answers. Writes state=, reason=, since=, looked= (uptime) and values for the next look.
set -eu; umask 022; state='' since=0 seen='' counter='' moved=0 invocation='' spent=0 answered=0 reason='' why=''
while IFS='=' read -r key value; do
  case $key in state | since | seen | counter | moved | invocation | spent | answered) export "$key=$value" ;; esac
done 2>/dev/null <"$file" || :
last_state=$state last_seen=$seen last_invocation=$invocation last_counter=$counter; uptime() { cut -d . -f 1 /proc/uptime; }
engine() { curl -q -s --noproxy '*' --max-filesize "$most" --unix-socket "$socket" "$@"; }
look() { code=$(engine -m 3 -o "$file.metrics" -w '%{http_code}' http://engine/metrics) || code=000; }
sum() { awk -v names=" $1 " '{ name = $1; sub(/[{].*/, "", name) } index(names, " " name " ") { s += $NF }
  END { printf "%.0f", s }' "$file.metrics"; }
loads() { seen=loading moved=$(uptime) reason=$(/bin/sh "${0%.probe}.loading" "$invocation"); [ -z "$reason" ] || seen=hung; }
# Tested: at a load of six times the cores, a healthy engine's counter stopped for seconds.
deadline=$(awk -v d="$deadline" -v n="$(nproc)" '{ f = int($1 / 2 / n) + 1; print d * (f > 3 ? 3 : f) }' /proc/loadavg)
invocation=$(systemctl show -P InvocationID -- "$unit")
# A restarted engine gets a full deadline, and the previous one's readiness doesn't count for it.
[ "$invocation" = "$last_invocation" ] || answered=0 seen=loading last_seen='' moved=$(uptime)
case $(systemctl show -P ActiveState -- "$unit") in
  active) look ;;
  activating | reloading) code='' seen=loading moved=$(uptime) ;;
  *) code='' seen=stopped ;;
esac
case $code in '') ;;
  200)
    answered=1 counter=$(sum "$moves")
    if [ "$(sum "$busy")" -gt 0 ]; then
      seen=busy why='it has requests, but its counter has not moved' # An engine that was idle gets a full deadline, too.
      if [ "$counter" != "$last_counter" ] || [ "$last_seen" = ready ]; then moved=$(uptime); fi
    elif [ "$last_seen" = ready ] && [ $(($(uptime) - moved)) -lt "$idle" ]; then seen=ready
    elif engine -m "$deadline" -f -o /dev/null -H 'Content-Type: application/json' -d "$body" "http://engine$path"; then
      seen=ready spent=0 moved=$(uptime)
    else # A request may have arrived since; then the counter moves.
      look; last_counter=$counter counter=$(sum "$moves") why='it is idle, but has not answered a request'
      [ "$counter" = "$last_counter" ] || seen=busy moved=$(uptime)
    fi ;;
  # A model takes minutes to load, and some engines open no socket until then.
  *) if [ "$answered" = 1 ] && [ "$code" != 503 ]; then why='it has not answered'; else loads; fi ;;
esac
[ "$seen" = stopped ] || [ $(($(uptime) - moved)) -lt "$deadline" ] || seen=hung reason="$why for $deadline s"
state=$seen first=$spent unfit=$(/bin/sh "${0%.probe}.unfit" "$seen") || unfit=''
case $seen:$unfit in *:) ;; loading:wait*) reason=${unfit#* } ;; *) state=faulted reason=${unfit#* } ;; esac
case $state:$unfit in hung:* | faulted:restart*) spent=1 ;; esac
[ "$state" = "$last_state" ] || since=$(date +%s)
printf '%s=%s\n' state "$state" reason "$reason" since "$since" seen "$seen" counter "$counter" moved "$moved" \
  invocation "$invocation" spent "$spent" answered "$answered" looked "$(uptime)" >"$file.new" && mv -f "$file.new" "$file"
[ "$first" = "$spent" ] || exec /bin/sh "${0%.probe}.evidence" "$unit" "$file.metrics" "$reason"
