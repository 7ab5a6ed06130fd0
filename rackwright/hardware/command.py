"""The command that reads a host's hardware."""

from __future__ import annotations

PATIENCE = 20
"""Time limit for nvidia-smi, in seconds. Without persistence mode it wakes each card, which takes a second or two."""

MOST_XIDS = 20
"""Limit per number and GPU: the thousands that a crashing engine causes must not displace the others."""

COMMAND = rf"""(
export LC_ALL=C
m=$(cat /proc/sys/kernel/random/uuid || echo "mark-$$")
echo "$m"
echo "$m facts"
echo "kernel $(uname -r)"
[ -r /etc/os-release ] && (. /etc/os-release; echo "system $ID $VERSION_ID")
echo "architecture $(dpkg --print-architecture || uname -m)"
echo "memory $(awk '$1=="MemTotal:"{{printf "%.0f", $2*1024}}' /proc/meminfo)"
echo "cpus $(nproc)"
grep -m1 '^model name' /proc/cpuinfo
echo "vendor $(cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name | tr '\n' ' ')"
[ -e /etc/dgx-release ] && echo dgx yes
[ -d /sys/module/nouveau ] && echo nouveau yes
[ -r /sys/module/nvidia/version ] && echo "loaded $(cat /sys/module/nvidia/version)"
[ -r /proc/driver/nvidia/version ] && echo "nvrm $(head -n 1 /proc/driver/nvidia/version)"
for f in /sys/firmware/efi/efivars/SecureBoot-*; do
[ -r "$f" ] && echo "secure_boot $(od -An -tu1 -j4 -N1 "$f")"
done
for d in /sys/class/infiniband/*; do [ -e "$d" ] && echo "rdma ${{d##*/}}"; done
for d in /sys/devices/system/node/node[0-9]*; do read -r c <"$d/cpulist" && echo "numa ${{d##*/node}} $c"; done
for d in /sys/class/net/*; do
read -r s <"$d/operstate" && [ "$s" = up ] && {{ read -r s <"$d/speed" || s=0; echo "link ${{d##*/}} $s"; }}
done
echo "$m sys"
for d in /sys/bus/pci/devices/*; do
read -r c <"$d/class" || continue
case $c in 0x02*|0x03*|0x0680*)
read -r v <"$d/vendor"; read -r i <"$d/device"; n=-1; read -r n <"$d/numa_node"
[ "$v" = 0x10de ] && nvidia=yes
echo "${{d##*/}} $c $v $i $n"
esac
done
echo "$m lspci"
lspci -Dnn | grep -E '\[(02|03)..\]: |\[0680\]: .*\[10de:'
echo "$m disks"
timeout 5 df -lB1 --output=fstype,size,avail,target -x tmpfs -x devtmpfs -x squashfs -x efivarfs
if command -v nvidia-smi >/dev/null; then
nvidia=yes
echo "$m smi"
x=$(timeout {PATIENCE} sh -c '{{ nvidia-smi -q -x 2>&1; echo "rc $?"; }} | cat' || echo "rc $?")
printf '%s\n' "$x" | sed -e '/<supported_clocks>$/,/<\/supported_clocks>/d' \
-e '/<processes>$/,/<\/processes>/d' -e '/<accounted_processes>$/,/<\/accounted_processes>/d'
case $x in *'<current_mig>Enabled'*) echo "$m instances"; timeout 10 nvidia-smi -L;; esac
fi
if [ "$nvidia" ]; then
echo "$m log"
{{ timeout 10 journalctl -k -b -q --no-pager -o cat --grep 'NVRM: Xid' ||
dmesg | grep 'NVRM: Xid'; }} |
awk '{{match($0, /NVRM: Xid [^,]*/); if (seen[substr($0, RSTART, RLENGTH)]++ < {MOST_XIDS}) print}}'
fi
:
) </dev/null 2>/dev/null
"""
"""A POSIX shell script that changes nothing and prints parts, each after a line with a mark and the part's name.

The mark is new each time, so that a program's name, which nvidia-smi prints, can't be the same. The host leaves out
programs' names and clocks, which are nine tenths of the XML. If the driver hangs, no signal ends nvidia-smi; the pipe
to cat lets the script continue without it. The script doesn't read its standard input."""
