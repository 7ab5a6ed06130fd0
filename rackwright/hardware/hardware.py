"""One host's hardware: one read-only command, and what its output says."""

from __future__ import annotations

from dataclasses import dataclass, field

from rackwright.hardware.gpu import SmiReport
from rackwright.hardware.pci import PciDevice


@dataclass(frozen=True)
class Xid:
    """An error that the driver wrote to the journal since the host booted."""

    number: int
    pci: str
    text: str


@dataclass(frozen=True)
class NumaNode:
    number: int
    cpus: str
    """As the kernel lists them: 0-31,64-95."""


@dataclass(frozen=True)
class Hardware:
    """What isn't there or isn't told is None or empty."""

    pci: tuple[PciDevice, ...] = ()
    """Display controllers, NVSwitches and network cards only."""
    report: SmiReport | None = None
    """None: nvidia-smi isn't there or failed, see `smi_error`."""
    smi_error: str | None = None
    """What nvidia-smi said when it failed, like a mismatch of library and module; None: it isn't there, or went well."""
    loaded: str | None = None
    """Version of the NVIDIA module that the kernel runs."""
    loaded_open: bool = False
    """Whether that module is the open one."""
    nouveau: bool = False
    """Whether nouveau is loaded."""
    xids: tuple[Xid, ...] = ()
    numa: tuple[NumaNode, ...] = ()
    kernel: str = ""
    """The running one's release, like 6.12.117+deb13-amd64."""
    secure_boot: bool | None = None
    """None: not an EFI machine, or it can't be told."""
    rdma: tuple[str, ...] = ()
    """Devices in /sys/class/infiniband."""
    memory: int = 0
    """Bytes."""
    cpus: int = 0
    """Logical ones."""
    cpu_model: str = ""
    system: str = ""
    """ID and VERSION_ID of os-release, like `debian 13`."""
    architecture: str = ""
    """As dpkg calls it, like amd64."""
    vendor: str = ""
    """Maker and model of the machine, as its firmware tells."""
    dgx: bool = False
    """Whether DGX OS runs on it (/etc/dgx-release)."""
    disks: tuple[tuple[str, int, int], ...] = field(default=())
    """Mount point, bytes in all, bytes free; no pseudo file systems."""
    links: tuple[tuple[str, int], ...] = field(default=())
    """Network interface that is up, and its megabits a second (0: not told)."""

    @property
    def nvidia(self) -> tuple[PciDevice, ...]:
        """The GPUs of NVIDIA that are plugged in, whether a driver runs or not."""
        return tuple(device for device in self.pci if device.vendor == "10de" and device.kind in ("0300", "0302"))

    @property
    def nvswitches(self) -> tuple[PciDevice, ...]:
        return tuple(device for device in self.pci if device.vendor == "10de" and device.kind == "0680")
