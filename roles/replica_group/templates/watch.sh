# Engines of one replica start together or not at all: none of them notices by itself that another has gone.
# The first member looks at the others: one that was started anew after it joined makes the first start anew, too.
# The others look at the first: when it was started anew, they follow. Writes reason= for the probe: why the replica
# can't serve now, or nothing; by uptime, looked= and spare=, until when what a hole took may not have been sent again.
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
anew() { # What has lost a member finishes nothing, so it gets no time for it.
  say "$1: starts anew"
  systemctl kill --kill-whom=all --signal=KILL -- "$unit" || :
  systemctl restart --no-block -- "$unit"
}
new='' reason='' again='' lost=''
# The sandbox shows nothing of /proc but processes: this one began so many hundredths of a second after the boot.
up=$(($(cut -d ' ' -f 22 /proc/self/stat) / 100))
[ "$own" = "$seen" ] || new=yes joined='' spare=0
if [ "$leads" = yes ]; then
  now=''
  for peer in $peers; do
    name=${peer%%=*} word=$(hear "${peer#*=}") known=$(part "$joined" "$name")
    engine=$(part "$word" engine)
    if [ -z "$word" ]; then reason="$name doesn't answer" lost=yes
    elif [ -z "$engine" ]; then reason="the engine on $name doesn't run"
    elif [ -n "$known" ] && [ "$engine" != "$known" ]; then again="the engine on $name was started anew" reason=$again
    elif [ "$(part "$word" first)" != "$own" ]; then reason="$name hasn't joined this start"
    else known=$engine; fi
    now="$now $name=$known"
  done
  joined=$now first=$own
  # TCP tries again within as long as it has been trying, two minutes at most (TCP_RTO_MAX). Fifteen seconds more: a look
  # notices a hole late, and the engine's answer takes its time.
  if [ -z "$lost" ]; then gone=0
  else [ "$gone" -gt 0 ] || gone=$up
    lasted=$((up - gone)); spare=$((up + 15 + (lasted < 120 ? lasted : 120))); fi
else
  word=$(hear "${peers#*=}")
  engine=$(part "$word" engine)
  # It may have been started before the first one was heard: then it joins that one.
  if [ "$new" = yes ] || [ -z "$first" ]; then first=$engine
  elif [ -n "$engine" ] && [ "$engine" != "$first" ]; then again="${peers%%=*} was started anew" first=''; fi
fi
[ "$reason" = "$last" ] || [ -z "$reason" ] || say "$reason"
printf '%s=%s\n' seen "$own" first "$first" joined "$joined" last "$reason" reason "$reason" \
  gone "$gone" spare "$spare" looked "$up" >"$file.new"
mv -f "$file.new" "$file"
[ -z "$again" ] || [ -z "$own" ] || anew "$again"
