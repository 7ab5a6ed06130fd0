# Restart the services that run on replaced libraries, and say which. Those of rackwright, which needrestart leaves
# alone, are restarted, too: the host is drained. Some stay, like dbus, which only a boot replaces. So does the tool: it
# may be what patches this host, and its next start uses the new libraries.
export LC_ALL=C
command -v needrestart >/dev/null || exit 0
stale() {
  needrestart -b -l -r l 2>/dev/null </dev/null | sed -n 's/^NEEDRESTART-SVC: *\([A-Za-z0-9:_.@\\-]\{1,256\}\)$/\1/p' |
    sort -u
}
before=$(stale)
[ -n "$before" ] || exit 0
needrestart -q -l -r a >/dev/null 2>&1 </dev/null || :
stale | grep '^rackwright-' | grep -vE '^rackwright-(schedule|by-hand-[0-9]+)[.]service$' |
  while read -r unit; do systemctl restart -- "$unit" </dev/null || :; done
after=$(stale)
for unit in $before; do
  if printf '%s\n' "$after" | grep -qxF -e "$unit"; then echo "stays $unit"; else echo "restarted $unit"; fi
done
