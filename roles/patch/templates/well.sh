# What must be as before after patching: one fact a line, in any order. Changes nothing.
export LC_ALL=C; echo "kernel $(uname -r)"
# Units that start automatically: others come and go. Not replicas and their probes, which are proven elsewhere, nor
# terminals, nor apt's timers, which patching stops.
shown=Id,ActiveState,SubState,Type,WantedBy,RequiredBy
units=$(systemctl show -p $shown -- '*.service' '*.socket' '*.timer') || exit 1
printf '%s\n' "$units" | awk '
  BEGIN { RS = ""; FS = "\n" }
  {
    split("", is)
    for (i = 1; i <= NF; i++) { at = index($i, "="); is[substr($i, 1, at - 1)] = substr($i, at + 1) }
    id = is["Id"]; runs = id ~ /[.]service$/
    if (is["WantedBy"] is["RequiredBy"] == "" || id ~ /^(user@|[a-z-]*getty@|apt-daily)/) next
    if (id ~ /^rackwright-([^.]*@[0-9]+[.]service$|.*[.](probe|agent)[.@])/) next
    if (is["ActiveState"] == "failed") print "unit", id, "failed"
    else if (!runs && is["ActiveState"] == "active") print "unit", id, "active"
    else if (runs && is["SubState"] == "running" && is["Type"] != "oneshot") print "unit", id, "running"
  }'
# File systems that aren't mounted on demand, by containers or for removable media.
{ findmnt -rn -t autofs -o TARGET | sed 's/^/- /'; findmnt -rn --real -o TARGET,FSTYPE; } | awk '
  $1 == "-" { automatic[$2]; next }
  $1 in automatic || $2 == "squashfs" || $1 ~ /^\/(run|media|var\/lib\/(docker|containers|kubelet))\// { next }
  { print "mount", $1, $2 }'
# Tables without counters, and without what programs change all the time: bans, rules of containers, elements that
# expire, and the rules of a gateway that has left.
lasting() {
  awk '
    function coming(name) { return name ~ /^(DOCKER|NETAVARK|CNI-|KUBE-|cali-|CILIUM_|f2b-)/ && name != "DOCKER-USER" }
    NF == 0 { next }
    skip { if ($0 ~ until) skip = 0; next }
    $1 == "chain" && coming($2) { skip = 1; until = "^\t}$"; next }
    $1 == "set" || $1 == "map" { expires = 0 }
    $1 == "flags" && /dynamic|timeout/ { expires = 1 }
    $1 == "elements" && expires { if ($0 !~ /}$/) { skip = 1; until = "}$" } next }
    NF > 1 && $(NF - 1) ~ /^(jump|goto)$/ && coming($NF) { next }
    { print }'
}
nft list tables 2>/dev/null | while read -r _ family name; do
  case $name in f2b-* | netavark | rackwright_left | rackwright_handover) continue ;; esac
  echo "filter $family $name $(nft -sp list table "$family" "$name" | lasting | sha256sum | cut -c -64)"
done
# A container has the clock of its machine.
if ! systemd-detect-virt -cq && [ "$(timeout 5 timedatectl show -p NTPSynchronized --value)" = yes ]; then
  echo "clock synchronized"
fi
# Libraries for programs of an older driver, in a folder compat, have another version on purpose.
ldconfig -p | sed -n '/compat/d; s/^[[:space:]]*lib\(nvidia-ml\|cuda\)\.so\.1 .*=> //p' | while read -r file; do
  readlink -f -- "$file"
done | sed -n 's/.*\.so\.\([0-9][0-9]*\(\.[0-9][0-9]*\)\{1,3\}\)$/library \1/p' | sort -u
if systemctl -q is-enabled nvidia-fabricmanager.service 2>/dev/null; then
  nv-fabricmanager --version 2>&1 </dev/null | sed -n 's/.*Fabric Manager version is *: *\([0-9.]*\).*/fabric \1/p'
fi
# Equal Xids of a GPU are one fact, at the time of the last one.
timeout 20 journalctl -q --no-pager -k -b -o short-monotonic | awk '
  match($0, /NVRM: Xid \((PCI:)?[0-9a-fA-F:.]+\): [0-9]+/) {
    split(substr($0, RSTART + 11, RLENGTH - 11), xid, /\): /)
    time = $0; gsub(/^\[ *|\].*/, "", time); sub(/^PCI:/, "", xid[1]); last["xid " xid[2] " " xid[1]] = time
  }
  END { for (fact in last) print fact, last[fact] }'
