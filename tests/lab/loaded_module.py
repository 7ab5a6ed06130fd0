"""A stand-in for the kernel's side of a driver: lab hosts share the kernel of the machine that runs the tests.

At each boot, a unit of the host shows in /sys/module which driver version a kernel would have loaded: that of the
module that DKMS installed last. It counts the boots, and waits or fails when told to.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from rackwright.lab.hosts import Lab
from tests.stand_in_driver import FOLDER, TOOLS, Kernel, repository

_ROOT = "/var/lib/lab"
_SCRIPT = f"""#!/bin/sh
set -e
date >>{_ROOT}/boots
while [ -e {_ROOT}/held ]; do sleep 0.2; done
mountpoint -q /sys/module || mount -t tmpfs lab /sys/module
rm -rf /sys/module/nvidia
version=$(modinfo -F version "$(find /lib/modules -name 'nvidia.ko*' | head -n 1)")
grep -qx -e any -e "$version" {_ROOT}/broken 2>/dev/null && exit 0
mkdir /sys/module/nvidia
echo "$version" >/sys/module/nvidia/version
"""
_UNIT = f"""[Unit]
DefaultDependencies=no
Before=sysinit.target systemd-modules-load.service
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart={_ROOT}/load
[Install]
WantedBy=sysinit.target
"""
_ENGINE = "[Unit]\nConditionPathExists=/sys/module/nvidia/version\n"
"""As engines with GPUs wait for rackwright-gpus.service: without the module, none starts."""
# update-grub is a stand-in: a container has no boot loader.
_PREPARED = f"""set -e; export DEBIAN_FRONTEND=noninteractive
apt-get -qq update; apt-get -qq -y --no-install-recommends install {TOOLS} >/dev/null
mkdir -p /etc/default/grub.d {_ROOT}; echo true >/usr/sbin/update-grub; chmod +x /usr/sbin/update-grub
cat >{_ROOT}/load <<'END'
{_SCRIPT}END
chmod +x {_ROOT}/load
cat >/etc/systemd/system/lab-module.service <<'END'
{_UNIT}END
systemctl -q enable lab-module.service"""


class LoadedModules:
    """The drivers of these hosts: what their repository offers, and what their kernels have loaded."""

    def __init__(self, lab: Lab, *hosts: str) -> None:
        """Prepare the hosts. Nothing is loaded until the next boot, or until `load`."""
        self._lab, self._hosts = lab, hosts
        self._each(_PREPARED)

    def offer(self, version: str, kernel: Kernel) -> None:
        """Let all hosts' repositories have the same packages: a lock is for all hosts of a kind."""
        first, *others = self._hosts
        made = f"{repository(version, kernel)}\ntar -C / -czf - {FOLDER.lstrip('/')} | base64 >/tmp/repository"
        self._lab.exec(first, made)
        packed = self._lab.exec(first, "cat /tmp/repository").out
        for host in others:
            self._lab.exec(host, "base64 -d | tar -C / -xzf -", input=packed)

    def load(self, *hosts: str) -> None:
        """Load the module that is installed, as a boot does."""
        for host in hosts or self._hosts:
            self._lab.exec(host, "systemctl restart lab-module.service")

    def loaded(self, host: str) -> str:
        return self._lab.exec(host, "cat /sys/module/nvidia/version || echo none", check=False).out.strip()

    def needed(self, engine: str) -> None:
        """Let this engine, as HOST/UNIT, start only if a module is loaded."""
        host, _, unit = engine.partition("/")
        folder = f"/etc/systemd/system/{unit}.service.d"
        self._lab.exec(host, f"mkdir -p {folder}; cat >{folder}/lab.conf; systemctl daemon-reload", input=_ENGINE)

    def boots(self, host: str) -> int:
        """Return how often the module was loaded, or should have been."""
        return int(self._lab.exec(host, f"wc -l <{_ROOT}/boots", check=False).out or 0)

    def hold(self, host: str) -> None:
        """Let the next boot wait before sshd starts, until `release`."""
        self._lab.exec(host, f"touch {_ROOT}/held")

    def release(self, host: str) -> None:
        self._lab.exec(host, f"rm -f {_ROOT}/held")

    def spoil(self, host: str, version: str = "any") -> None:
        """Let no module, or none of this version, be loaded from the next boot on, until `mend`."""
        self._lab.exec(host, f"echo {version} >{_ROOT}/broken")

    def mend(self, host: str) -> None:
        self._lab.exec(host, f"rm -f {_ROOT}/broken; systemctl restart lab-module.service")

    def _each(self, script: str) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda host: self._lab.exec(host, script, timeout=300), self._hosts))
