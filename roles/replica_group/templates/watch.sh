# Engines of one replica start together or not at all, because an engine doesn't notice on its own that another is gone.
# The first member checks the others: if one that had joined was restarted, the first one restarts, too. The others check
# the first: if it was restarted, they restart. Writes reason= for the probe: why the replica can't serve now, or nothing.
# Also writes looked= and spare=, in uptime. Until spare, TCP may not have resent data that a network failure lost.
set -eu; umask 022; seen='' first='' joined='' last='' gone=0 spare=0
while IFS='=' read -r key value; do
  case $key in seen | first | joined | last | gone | spare) export "$key=$value" ;; esac
done 2>/dev/null <"$file" || :
own=$(systemctl show -P InvocationID -- "$unit")
[ "$(systemctl show -P ActiveState -- "$unit")" = active ] || own=''
hear() { curl -q -s --noproxy '*' --connect-timeout 2 --max-time 3 "telnet://$1" </dev/null 2>/dev/null |
  head -c 200 | head -n 1 | tr -dc 'a-z0-9= '; }
say() { echo "$unit: $1" | systemd-cat -t rackwright -p warning; }
part() { set -- " $1 " "$2"; case $1 in *" $2="*) set -- "${1##*" $2="}"; echo "${1%% *}" ;; esac; }
restart_engine() { # An engine that has lost a member finishes nothing, so there is no time for a drain.
  say "$1: restarting"
  systemctl kill --kill-whom=main --signal=KILL -- "$unit" || :
  systemctl restart --no-block -- "$unit"
}
new='' reason='' again='' lost=''
# In the sandbox /proc has only processes, so take the time from boot to this one's start, in hundredths of a second.
up=$(($(cut -d ' ' -f 22 /proc/self/stat) / 100))
[ "$own" = "$seen" ] || new=yes joined='' spare=0
if [ "$leads" = yes ]; then
  now=''
  for peer in $peers; do
    name=${peer%%=*} word=$(hear "${peer#*=}") known=$(part "$joined" "$name")
    engine=$(part "$word" engine)
    if [ -z "$word" ]; then reason="$name doesn't answer" lost=yes
    elif [ -z "$engine" ]; then reason="the engine on $name is not running"
    elif [ -n "$known" ] && [ "$engine" != "$known" ]; then again="the engine on $name was restarted" reason=$again
    elif [ "$(part "$word" first)" != "$own" ]; then reason="$name hasn't joined the current start"
    else known=$engine; fi
    now="$now $name=$known"
  done
  joined=$now first=$own
  # TCP retries at the latest after as long as it has already been trying, at most two minutes (TCP_RTO_MAX). Fifteen more
  # seconds, because a look notices a failure late, and the engine needs time to answer.
  if [ -z "$lost" ]; then gone=0
  else [ "$gone" -gt 0 ] || gone=$up
    lasted=$((up - gone)); spare=$((up + 15 + (lasted < 120 ? lasted : 120))); fi
else
  word=$(hear "${peers#*=}")
  engine=$(part "$word" engine)
  # This engine may have started before the first member was reached: then it joins that one.
  if [ "$new" = yes ] || [ -z "$first" ]; then first=$engine
  elif [ -n "$engine" ] && [ "$engine" != "$first" ]; then again="${peers%%=*} was restarted" first=''; fi
fi
[ "$reason" = "$last" ] || [ -z "$reason" ] || say "$reason"
printf '%s=%s\n' seen "$own" first "$first" joined "$joined" last "$reason" reason "$reason" \
  gone "$gone" spare "$spare" looked "$up" >"$file.new"
mv -f "$file.new" "$file"
[ -z "$again" ] || [ -z "$own" ] || restart_engine "$again"
