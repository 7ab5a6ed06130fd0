"""The driver that a host already has, and its origin. Without pyinfra: also for a plain connection."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from rackwright.package_set import ROOT

FOUND_DRIVER_COMMAND = rf"""
[ ! -e /etc/dgx-release ] || echo dgx yes
for f in /usr/bin/nvidia-uninstall /usr/bin/nvidia-installer; do
if [ -x "$f" ] && ! dpkg -S "$f" >/dev/null 2>&1; then echo "run $f"; break; fi; done
[ ! -r /sys/module/nvidia/version ] || echo "loaded $(cat /sys/module/nvidia/version)"
[ ! -r {ROOT}/driver.installed ] || echo "ours $(cat {ROOT}/driver.installed)"
dpkg-query -W -f 'package ${{db:Status-Status}} ${{Package}} ${{Version}}\n' \
'nvidia-*' 'libnvidia-*' 'libcuda1' 'linux-modules-nvidia-*' 'firmware-nvidia-*' 2>/dev/null || true
"""
_MODULES = ("nvidia-*dkms*", "linux-modules-nvidia-*", "nvidia-kernel-[0-9]*")
_PRECOMPILED = ("linux-modules-nvidia-*", "nvidia-kernel-[0-9]*")


@dataclass(frozen=True)
class FoundDriver:
    packages: tuple[tuple[str, str], ...] = ()
    """Name and version of each installed package that may belong to a driver."""
    run: str | None = None
    """The program of the .run installer, if one installed the driver."""
    dgx: bool = False
    loaded: str | None = None
    """Version of the module in the running kernel."""
    ours: str | None = None
    """Name of the set that we installed."""

    @property
    def modules(self) -> tuple[tuple[str, str], ...]:
        """Return the packages that contain kernel modules."""
        return tuple(one for one in self.packages if any(fnmatchcase(one[0], name) for name in _MODULES))

    @property
    def precompiled(self) -> bool:
        return any(fnmatchcase(name, pattern) for name, _ in self.packages for pattern in _PRECOMPILED)

    @property
    def reboot_pending(self) -> str | None:
        """Return why only a reboot makes the kernel use the installed driver; None if no reboot is needed."""
        versions = sorted({upstream(version) for name, version in self.modules if not _of_kernel(name)})
        if not versions or self.loaded in versions:
            return None
        runs = f"module {self.loaded} runs" if self.loaded else "no module runs"
        return f"reboot pending: {runs}, {' and '.join(versions)} is installed"

    @property
    def going(self) -> tuple[str, ...]:
        """Return the packages to remove with the driver: those with modules, and all of the same version."""
        modules = dict(self.modules)
        versions = {upstream(version) for name, version in modules.items() if not _of_kernel(name)} | {self.loaded}
        return tuple(name for name, version in self.packages if name in modules or upstream(version) in versions)

    @property
    def uninstall(self) -> str | None:
        """Return the command that removes what a .run installer left; None if it left nothing."""
        if self.run is None:
            return None
        return f"{self.run} {'' if self.run.endswith('uninstall') else '--uninstall '}--silent"

    @property
    def there(self) -> bool:
        return bool(self.run or self.dgx or self.loaded or self.modules)


def _of_kernel(name: str) -> bool:
    """Return whether a module package has its kernel's version, not the driver's."""
    return name.startswith("linux-")


def parse_found_driver(output: str) -> FoundDriver:
    """Given the output of FOUND_DRIVER_COMMAND, return the driver."""
    reply: dict[str, str] = {}
    packages = []
    for line in output.splitlines():
        key, _, value = line.partition(" ")
        words = value.split()
        if key == "package" and words[:1] == ["installed"] and len(words) == 3:
            packages.append((words[1], words[2]))
        elif key != "package":
            reply[key] = value
    return FoundDriver(tuple(packages), reply.get("run"), "dgx" in reply, reply.get("loaded"), reply.get("ours"))


def upstream(version: str) -> str:
    """Given a package's version, return the driver version in it, like 580.95.05."""
    version = version.partition(":")[2] or version
    for end in "-+~":
        version = version.partition(end)[0]
    return version
