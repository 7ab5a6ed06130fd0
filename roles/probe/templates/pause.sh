# Input: lines NUMBER KEY, how many requests of which keys may have ended the engine. Note these keys. A key that was noted
# too often is paused at this replica if other keys use it, too.
set -eu; umask 022
ask() { printf '%s\n' "$1" | socat -T 10 - "UNIX-CONNECT:$socket,su-e=$asks_as" | head -c 64M; }
keys=$(cat)
now=$(date +%s)
{
  awk -v since=$((now - window)) '$1 + 0 > since + 0' "$file.ended" 2>/dev/null || :
  printf '%s\n' "$keys" | sed "s/^[0-9]*/$now/"
} >"$file.ended.new"
mv -f "$file.ended.new" "$file.ended"
# One key at a time: the one noted most often, and of these any. A client could aim at every other rule.
worst=$(printf '%s\n' "$keys" | while read -r _ key; do echo "$(grep -c " $key\$" "$file.ended") $key"; done |
  shuf | sort -s -k 1,1nr | head -n 1)
times=${worst% *} key=${worst#* }
[ "$times" -ge "$most" ] || exit 0
ask 'show table asking' | awk -v replica="$replica" -v key="$key" '
  { split(substr($2, 5), part, "/") } part[1] == replica && part[2] != key { found = 1 } END { exit !found }' || exit 0

until=$((now + pause))
ask "set table paused key $replica/$key data.gpt0 $until" >/dev/null
# Without HAProxy's own word, status would name a pause that isn't.
case $(ask "show table paused key $replica/$key") in *"gpt0=$until"*) ;; *) exit 1 ;; esac
{
  awk -v now="$now" -v key="$key" '$1 + 0 > now + 0 && $2 != key' "$file.paused" 2>/dev/null || :
  echo "$until $key $times"
} >"$file.paused.new"
mv -f "$file.paused.new" "$file.paused"
echo "$unit: requests of the key $key ended the engine $times times; the key is paused there for $pause s" |
  systemd-cat -t rackwright -p warning
