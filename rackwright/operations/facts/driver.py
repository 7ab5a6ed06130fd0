"""The driver that is installed on a host, and its state in the running kernel."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api.facts import FactBase

from rackwright.operations.facts.found_driver import FOUND_DRIVER_COMMAND, FoundDriver, parse_found_driver
from rackwright.roles.nvidia_driver.settings import MODPROBE


@dataclass(frozen=True)
class Running:
    loaded: str | None = None
    """Version of the NVIDIA module that the kernel runs."""
    loadable: bool = False
    """Whether the running kernel has an NVIDIA module among its files."""
    nouveau: bool = False
    """Whether nouveau drives the GPUs now."""
    nouveau_early: bool = False
    """Whether an initramfs contains nouveau."""
    rdma: bool = False
    """Whether there are network cards that can read GPU memory."""
    kernel: str | None = None
    """Release of the running kernel; None: it isn't the machine's own, as in a container."""


class RunningDriver(FactBase[Running]):
    """Return the host's state. An initramfs is searched only if it isn't newer than our file that blocks nouveau."""

    def command(self) -> str:
        return (
            '[ ! -r /sys/module/nvidia/version ] || echo "loaded $(cat /sys/module/nvidia/version)"; '
            "[ ! -d /sys/module/nouveau ] || echo nouveau; "
            "m=$(find /lib/modules/$(uname -r) -regextype posix-extended -regex "
            "'.*/nvidia(-current(-open)?|-tesla-[0-9]+)?[.]ko.*' -print -quit 2>/dev/null); "
            '[ -z "$m" ] || echo loadable; k=$(uname -r); [ ! -e "/boot/vmlinuz-$k" ] || echo "kernel $k"; '
            '[ -z "$(ls /sys/class/infiniband 2>/dev/null)" ] || echo rdma; '
            f'for i in /boot/initrd.img-*; do if [ ! -e {MODPROBE} ] || [ ! {MODPROBE} -ot "$i" ]; then '
            "! lsinitramfs \"$i\" 2>/dev/null | grep -q '/nouveau[.]ko' || { echo nouveau_early; break; }; fi; done"
        )

    @staticmethod
    def default() -> Running:
        return Running()

    def process(self, output: list[str]) -> Running:
        reply = {key: value for key, _, value in (line.partition(" ") for line in output)}
        loadable, nouveau, early, rdma = (word in reply for word in ("loadable", "nouveau", "nouveau_early", "rdma"))
        return Running(reply.get("loaded") or None, loadable, nouveau, early, rdma, reply.get("kernel") or None)


class FoundDriverFact(FactBase[FoundDriver]):
    """Return the driver that is installed on the host."""

    def command(self) -> str:
        return FOUND_DRIVER_COMMAND

    @staticmethod
    def default() -> FoundDriver:
        return FoundDriver()

    def process(self, output: list[str]) -> FoundDriver:
        return parse_found_driver("\n".join(output))
