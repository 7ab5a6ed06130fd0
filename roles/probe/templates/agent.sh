# One line for HAProxy's agent-check: what the probe found last. A state that nobody renews is none.
answer=down looked=''
while IFS='=' read -r key value; do
  case $key=$value in state=ready | state=busy) answer=up ;; looked=*) looked=$value ;; esac
done 2>/dev/null <"$file" || :
# By a clock that nobody sets. The sandbox shows nothing of /proc but processes: this one began so long after the boot.
up=$(($(cut -d ' ' -f 22 /proc/self/stat) / 100))
# An older probe's state is as old as its file.
[ "$looked" ] || looked=$((up - ($(date +%s) - $(stat -c %Y "$file" 2>/dev/null || echo 0))))
[ $((up - looked)) -lt "$stale" ] || answer=down
# Whom its group misses takes it out at once: a look at an engine that lost a member may wait for all of its deadline.
[ -z "$group" ] || ! grep -q '^reason=.' "$group" 2>/dev/null || answer=down
echo "$answer"
