"""A lab host's kernel log and driver: a container has neither of its own."""

from __future__ import annotations

from rackwright.lab.hosts import Lab

_KNOWN = """\
set -e
[ -d /proc/driver/nvidia ] || mount -t tmpfs -o mode=755 stand-in /proc/driver
gpu=/proc/driver/nvidia/gpus/{pci}
mkdir -p $gpu
printf 'Model: \\t\\t a stand-in of rackwright tests\\nGPU UUID: \\t %s\\n' {uuid} >$gpu/information
"""
_REMOTE = "/usr/lib/systemd/systemd-journal-remote"
_WRITE = f"""\
set -e
if [ ! -x {_REMOTE} ]; then
apt-get update && apt-get install -y --no-install-recommends systemd-journal-remote
fi >/dev/null 2>&1
read -r machine </etc/machine-id
folder=$(ls -d /var/log/journal/$machine /run/log/journal/$machine 2>/dev/null | head -n 1)
{{
echo "__REALTIME_TIMESTAMP=$(date +%s%6N)"
echo "__MONOTONIC_TIMESTAMP=$(awk '{{ printf "%d", $1 * 1e6 }}' /proc/uptime)"
echo "_BOOT_ID=$(tr -d - </proc/sys/kernel/random/boot_id)"
echo "_MACHINE_ID=$machine"
echo "_HOSTNAME=$(hostname)"
echo "_TRANSPORT=kernel"
echo "PRIORITY=3"
echo "SYSLOG_IDENTIFIER=kernel"
echo "MESSAGE=$(cat)"
echo
}} | {_REMOTE} --output="$folder/kernel.journal" - >/dev/null 2>&1
"""


def know_gpu(lab: Lab, host: str, pci: str, uuid: str) -> None:
    """Add this GPU to a stand-in for the driver's folder in /proc."""
    lab.exec(host, _KNOWN.format(pci=pci, uuid=uuid))


def kernel_says(lab: Lab, host: str, line: str) -> None:
    """Write a kernel line to the host's journal, dated now: in journald's own format, with journald's own program."""
    lab.exec(host, _WRITE, input=line)
