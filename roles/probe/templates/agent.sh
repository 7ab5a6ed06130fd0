# Print one line for HAProxy's agent-check: the probe's last finding. A state that is no longer renewed doesn't count.
answer=down looked=''
while IFS='=' read -r key value; do
  case $key=$value in state=ready | state=busy) answer=up ;; looked=*) looked=$value ;; esac
done 2>/dev/null <"$file" || :
# Uptime, which no one can set. In the sandbox /proc has only processes, so take the time from boot to this one's start.
up=$(($(cut -d ' ' -f 22 /proc/self/stat) / 100))
# An older probe's state is as old as its file.
[ "$looked" ] || looked=$((up - ($(date +%s) - $(stat -c %Y "$file" 2>/dev/null || echo 0))))
[ $((up - looked)) -lt "$stale" ] || answer=down
# A lost member takes the replica out immediately: the probe's look at such an engine may take its whole deadline.
[ -z "$group" ] || ! grep -q '^reason=.' "$group" 2>/dev/null || answer=down
echo "$answer"
