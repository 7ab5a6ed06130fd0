"""The only place where the lab calls QEMU: the machine's hardware and its process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.errors import RackwrightError

CONTROLLER = "10.0.2.2"
"""The address at which the machine sees this one, in QEMU's own network."""
RESOLVER = "10.0.2.3"
ADDRESS = "127.0.0.1"
"""The address at which this machine reaches the virtual machine's sshd."""
_CPUS = 2
_MIB = 2048


@dataclass(frozen=True)
class Kernel:
    """A kernel that is booted directly, without the disk's boot loader."""

    image: Path
    initrd: Path
    line: str


@dataclass(frozen=True)
class Machine:
    """One machine: its disk, and what it gets at power-on."""

    disk: Path
    format: str
    console: Path
    """The file that gets the output of its serial console."""
    port: int | None = None
    """Forwarded from this machine's loopback to the same port of the machine. None: nothing is forwarded."""
    credentials: Mapping[str, Path] = field(default_factory=dict)
    """Files, by their credential names in its systemd."""
    kernel: Kernel | None = None


def accelerates(cpuinfo: str) -> bool:
    """Given the text of /proc/cpuinfo, return whether the processor supports virtualization.

    /dev/kvm alone doesn't show it: some virtual machines have it, but what it starts hangs.
    """
    flags = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), "").split()
    return "vmx" in flags or "svm" in flags


def accelerated() -> bool:
    """Return whether machines run with KVM, not in an emulator."""
    return os.access("/dev/kvm", os.R_OK | os.W_OK) and accelerates(Path("/proc/cpuinfo").read_text())


def _processor() -> list[str]:
    if accelerated():
        return ["-accel", "kvm", "-cpu", "host", "-smp", str(_CPUS)]
    # Features of newer processors cost an emulator time: longer page walks, and modules for unused features.
    return ["-accel", "tcg", "-cpu", "Nehalem", "-smp", str(_CPUS)]


def command(machine: Machine) -> list[str]:
    """Return the command that runs the machine."""
    forward = f",hostfwd=tcp:{ADDRESS}:{machine.port}-:{machine.port}" if machine.port else ""
    words = ["qemu-system-x86_64", "-no-user-config", "-nodefaults", "-display", "none"]
    words += ["-machine", "q35", *_processor(), "-m", str(_MIB)]
    words += ["-drive", f"file={machine.disk},format={machine.format},if=virtio,cache=unsafe,discard=unmap"]
    words += ["-nic", f"user,model=virtio-net-pci{forward}", "-device", "virtio-rng-pci"]
    words += ["-serial", f"file:{machine.console}"]
    for name, path in machine.credentials.items():
        words += ["-fw_cfg", f"name=opt/io.systemd.credentials/{name},file={path}"]
    if machine.kernel:
        words += ["-kernel", str(machine.kernel.image), "-initrd", str(machine.kernel.initrd)]
        words += ["-append", machine.kernel.line, "-no-reboot"]
    return words


def start(machine: Machine) -> subprocess.Popen[str]:
    """Turn the machine on. It goes off at the latest when the calling thread ends."""
    machine.console.touch()
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *command(machine)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=machine.console.with_suffix(".err").open("w"),
        text=True,
    )


def ended(process: subprocess.Popen[str], seconds: float) -> bool:
    """Return whether the machine turns itself off within `seconds`."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def stop(process: subprocess.Popen[str]) -> None:
    """Turn the machine off, as if its power had been cut."""
    process.kill()
    process.wait()


def check_runs(process: subprocess.Popen[str] | None, console: Path) -> None:
    """Raise RackwrightError with the machine's last output if it is off."""
    if process is None or process.poll() is not None:
        how = "" if process is None else f" (QEMU exited {process.returncode})"
        raise RackwrightError(f"the machine is off{how}:\n{tail(console)}", where="lab")


def tail(console: Path, lines: int = 15) -> str:
    """Return the last lines of the machine's console and of QEMU's own errors."""
    texts = [path.read_text(errors="replace") for path in (console, console.with_suffix(".err")) if path.exists()]
    return "\n".join("\n".join(text.splitlines()[-lines:]) for text in texts)
