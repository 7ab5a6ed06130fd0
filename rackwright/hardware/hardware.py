"""One host's hardware, and the parser for the output of the command that reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rackwright.hardware.command import COMMAND as COMMAND
from rackwright.hardware.command import PATIENCE
from rackwright.hardware.pci import NVIDIA, PciDevice, merged, parse_lspci, parse_sys_pci
from rackwright.hardware.plain_text import plain
from rackwright.hardware.xid import Xid as Xid
from rackwright.hardware.xid import parse_xids

if TYPE_CHECKING:
    from rackwright.hardware.gpus import SmiReport

_SAID = 300
"""Characters to keep of a failed nvidia-smi's output."""


@dataclass(frozen=True)
class NumaNode:
    number: int
    cpus: str
    """In the kernel's format: 0-31,64-95."""


@dataclass(frozen=True)
class Hardware:
    """A host's hardware. What is missing or not reported is None or empty."""

    pci: tuple[PciDevice, ...] = ()
    """Display controllers, NVSwitches and network cards only."""
    report: SmiReport | None = None
    """None: nvidia-smi isn't installed, or failed (see `smi_error`)."""
    smi_error: str | None = None
    """Output of a failed nvidia-smi, such as a mismatch of library and module; None: no failure, or not installed."""
    smi_warnings: tuple[str, ...] = ()
    """Warnings of nvidia-smi next to its report, like `infoROM is corrupted at gpu 0000:17:00.0`."""
    loaded: str | None = None
    """Version of the NVIDIA module in the running kernel."""
    loaded_open: bool = False
    """Whether that module is the open one."""
    nouveau: bool = False
    """Whether nouveau is loaded."""
    xids: tuple[Xid, ...] = ()
    numa: tuple[NumaNode, ...] = ()
    kernel: str = ""
    """Release of the running kernel, like 6.12.117+deb13-amd64."""
    secure_boot: bool | None = None
    """None: not an EFI machine, or unknown."""
    rdma: tuple[str, ...] = ()
    """Devices in /sys/class/infiniband."""
    memory: int = 0
    """Bytes."""
    cpus: int = 0
    """Logical CPUs."""
    cpu_model: str = ""
    system: str = ""
    """ID and VERSION_ID of os-release, like `debian 13`."""
    architecture: str = ""
    """In dpkg's terms, like amd64."""
    vendor: str = ""
    """Manufacturer and model of the machine, from its firmware."""
    dgx: bool = False
    """Whether DGX OS runs on it (/etc/dgx-release)."""
    disks: tuple[tuple[str, int, int], ...] = field(default=())
    """Mount point, total bytes, free bytes; without pseudo file systems."""
    links: tuple[tuple[str, int], ...] = field(default=())
    """Each active network interface, and its speed in Mbit/s (0: not reported)."""

    @property
    def nvidia(self) -> tuple[PciDevice, ...]:
        """Return the installed NVIDIA GPUs, with or without a running driver."""
        return tuple(device for device in self.pci if device.vendor == NVIDIA and device.kind in ("0300", "0302"))

    @property
    def nvswitches(self) -> tuple[PciDevice, ...]:
        return tuple(device for device in self.pci if device.vendor == NVIDIA and device.kind == "0680")


def parse_hardware(output: str) -> Hardware:
    """Given the output of COMMAND, return the hardware. Never raises: what can't be parsed is empty or None."""
    parts = _parts(output)
    facts = _facts(parts.get("facts", ""))
    report, error, warnings = _smi(parts.get("smi", ""), parts.get("instances", ""))
    nvrm = _one(facts, "nvrm")
    return Hardware(
        pci=merged(parse_lspci(parts.get("lspci", "")), parse_sys_pci(parts.get("sys", ""))),
        report=report,
        smi_error=error,
        smi_warnings=warnings,
        loaded=_one(facts, "loaded") or _version(nvrm),
        loaded_open="Open Kernel Module" in nvrm,
        nouveau=bool(_one(facts, "nouveau")),
        xids=parse_xids(parts.get("log", "")),
        numa=tuple(_numa(facts.get("numa", []))),
        kernel=_one(facts, "kernel"),
        secure_boot={"0": False, "1": True}.get(_one(facts, "secure_boot")),
        rdma=tuple(facts.get("rdma", ())),
        memory=_number(_one(facts, "memory")),
        cpus=_number(_one(facts, "cpus")),
        cpu_model=_one(facts, "model").partition(":")[2].strip(),
        system=_one(facts, "system"),
        architecture=_one(facts, "architecture"),
        vendor=_one(facts, "vendor"),
        dgx=bool(_one(facts, "dgx")),
        disks=tuple(_disks(parts.get("disks", ""))),
        links=tuple(_links(facts.get("link", []))),
    )


def _parts(output: str) -> dict[str, str]:
    mark, _, rest = output.partition("\n")
    if not re.fullmatch(r"[0-9a-z-]{6,40}", mark):
        return {}
    cut = re.split(rf"^{mark} ([a-z]+)\n", rest, flags=re.MULTILINE)
    return dict(zip(cut[1::2], cut[2::2], strict=False))


def _facts(text: str) -> dict[str, list[str]]:
    facts: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        facts.setdefault(key, []).append(value.strip())
    return facts


def _one(facts: dict[str, list[str]], key: str) -> str:
    return facts.get(key, [""])[0]


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0


def _version(nvrm: str) -> str | None:
    found = re.search(r"Kernel Module\D*?(?: for \S+)?\s+(\d+(?:\.\d+)+)", nvrm)
    return found[1] if found else None


def _smi(text: str, listing: str) -> tuple[SmiReport | None, str | None, tuple[str, ...]]:
    """Return the report, or the reason why there is none, and nvidia-smi's warnings."""
    if not text:
        return None, None, ()
    # The module imports an XML parser, which takes time.
    from rackwright.hardware.nvidia_smi import parse_nvidia_smi, with_instances

    *_, code = re.findall(r"^rc ([0-9]{1,3})$", text, re.MULTILINE) or [""]
    said = re.sub(r"^rc [0-9]{1,3}$", "", text, flags=re.MULTILINE)
    warnings = tuple(
        plain(line.partition(":")[2], _SAID) for line in said.splitlines() if line.startswith("WARNING:")
    )
    try:
        return with_instances(parse_nvidia_smi(said), listing), None, warnings
    except ValueError as error:
        return None, _why(code, said, str(error)), warnings


def _why(code: str, said: str, error: str) -> str:
    if code == "124":
        return f"no answer within {PATIENCE} seconds"
    if "<nvidia_smi_log>" in said or "<?xml" in said:
        return error
    return plain(said, _SAID) or f"exited with {code} and printed nothing"


def _numa(lines: list[str]) -> Iterator[NumaNode]:
    for line in lines:
        number, _, cpus = line.partition(" ")
        if re.fullmatch(r"[0-9]{1,5}", number):
            yield NumaNode(int(number), cpus)


def _links(lines: list[str]) -> Iterator[tuple[str, int]]:
    for line in lines:
        name, _, speed = line.partition(" ")
        yield name, _number(speed)


def _disks(text: str) -> Iterator[tuple[str, int, int]]:
    for line in text.splitlines():
        found = re.fullmatch(r"(\S+) +([0-9]{1,18}) +([0-9]{1,18}) (/.*)", line.strip())
        # A container's layers are mounted as overlays, too; an overlay counts only if it is the root file system.
        if found and (found[1] != "overlay" or found[4] == "/"):
            yield found[4], int(found[2]), int(found[3])
