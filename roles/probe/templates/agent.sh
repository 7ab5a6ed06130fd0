# One line for HAProxy's agent-check: what the probe found last. A state that nobody renews is none.
answer=down
if [ $(($(date +%s) - $(stat -c %Y "$file" 2>/dev/null || echo 0))) -lt "$stale" ]; then
  while IFS='=' read -r key value; do
    case $key=$value in state=ready | state=busy) answer=up ;; esac
  done <"$file"
fi
# Whom its bond misses takes it out at once: a look at an engine that lost a member may wait for all of its deadline.
[ -z "$bond" ] || ! grep -q '^reason=.' "$bond" 2>/dev/null || answer=down
echo "$answer"
