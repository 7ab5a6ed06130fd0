# Usage: end USER
# End every process that the user started in a session.
set -eu
user=$1
uid=$(id -u -- "$user")
loginctl disable-linger "$user" 2>/dev/null || :
loginctl terminate-user "$user" 2>/dev/null || :
# Processes started with sudo belong to root, but the kernel knows which user logged in (pam_loginuid).
for file in $(grep -lx -- "$uid" /proc/[0-9]*/loginuid 2>/dev/null || :); do
  pid=${file#/proc/} pid=${pid%/loginuid}
  kill -KILL "$pid" 2>/dev/null || :
done
tries=0
# Kill all at once, as the user: killed one by one, they could start new ones in between.
while grep -qsE "^Uid:[[:space:]]+$uid[[:space:]]" /proc/[0-9]*/status; do
  setpriv --reuid="$uid" --clear-groups -- sh -c 'kill -KILL -1' 2>/dev/null || :
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { echo "processes of $user don't end" >&2; exit 1; }
  sleep 0.1
done
