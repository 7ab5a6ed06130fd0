# The rule: while busy the counter must move, while idle a one-token completion must come back, both within the
# deadline. A hung engine is killed once until it was ready again. Writes state=, since= and what the next look needs.
set -eu; umask 022; state='' since=0 counter='' moved=0 invocation='' spent=0 answered=0
# shellcheck disable=SC2034 # eval reads it
while IFS='=' read -r key value; do
  case $key in state | since | counter | moved | invocation | spent | answered) eval "$key=\$value" ;; esac
done 2>/dev/null <"$file" || :
last_state=$state last_invocation=$invocation last_counter=$counter
uptime() { cut -d . -f 1 /proc/uptime; }
engine() { curl -q -s --noproxy '*' --unix-socket "$socket" "$@"; }
look() { code=$(engine -m 3 -o "$file.metrics" -w '%{http_code}' http://engine/metrics) || code=000; }
sum() { awk -v names=" $1 " '{ name = $1; sub(/[{].*/, "", name) } index(names, " " name " ") { s += $NF }
  END { printf "%.0f", s }' "$file.metrics"; }
# Tried: with six times as much to run as there are cores, a healthy engine's counter stood still for seconds.
deadline=$(awk -v d="$deadline" -v n="$(nproc)" '{ f = int($1 / 2 / n) + 1; print d * (f > 3 ? 3 : f) }' /proc/loadavg)
invocation=$(systemctl show -P InvocationID -- "$unit")
# An engine that was started anew has its whole deadline before it, and is not ready for what the last one was.
[ "$invocation" = "$last_invocation" ] || answered=0 state=loading last_state='' moved=$(uptime)
case $(systemctl show -P ActiveState -- "$unit") in
  active) look ;;
  activating | reloading) code=503 ;;
  *) code=stopped ;;
esac
case $code in
  stopped) state=stopped ;;
  503) state=loading moved=$(uptime) ;;
  200)
    answered=1 counter=$(sum "$moves")
    if [ "$(sum "$busy")" -gt 0 ]; then
      state=busy # One that was idle and is given work has its whole deadline, too.
      if [ "$counter" != "$last_counter" ] || [ "$last_state" = ready ]; then moved=$(uptime); fi
    elif [ "$last_state" = ready ] && [ $(($(uptime) - moved)) -lt "$idle" ]; then state=ready
    elif engine -m "$deadline" -f -o /dev/null -H 'Content-Type: application/json' -d "$body" http://engine/v1/completions; then
      state=ready spent=0 moved=$(uptime)
    else # Work may have come in between; then the counter moves.
      look
      last_counter=$counter counter=$(sum "$moves")
      [ "$counter" = "$last_counter" ] || state=busy moved=$(uptime)
    fi ;;
  # A model takes minutes to load, and some engines open no socket before.
  *) [ "$answered" = 1 ] || state=loading moved=$(uptime) ;;
esac
[ "$state" = stopped ] || [ $(($(uptime) - moved)) -lt "$deadline" ] || state=hung
[ "$state" = "$last_state" ] || since=$(date +%s)
first=$spent; [ "$state" != hung ] || spent=1
printf '%s=%s\n' state "$state" since "$since" counter "$counter" moved "$moved" invocation "$invocation" \
  spent "$spent" answered "$answered" >"$file.new"
mv -f "$file.new" "$file"
[ "$first" = "$spent" ] || exec /bin/sh "${0%.probe}.evidence" "$unit" "$file.metrics"
