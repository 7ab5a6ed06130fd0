"""A stand-in for NVIDIA's repository: small packages of the same names; their module builds or fails by kernel.

The kernels are stand-ins too, except on the virtual machine, whose kernels are Debian's. What builds is real: apt,
dpkg, DKMS and the compiler. `repository(...)` is a shell script that makes the packages on a host.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

FOLDER = "/srv/driver"
"""On the host: the repository, as `driver: {source: path, path: …}` has it."""
TOOLS = "dkms gcc make apt-utils"
_SCRIPT = (Path(__file__).parent / "stand_in_driver.sh").read_text()


@dataclass(frozen=True)
class Kernel:
    """A stand-in for a kernel with its headers, or one that the machine has."""

    release: str
    resizes: int = 2
    """How many arguments its pci_resize_resource takes: 2, or 3 as since 6.12.99."""


def repository(version: str, *kernels: Kernel, real: bool = False) -> str:
    """Return a script that makes the packages of this driver version for these kernels; the last one is the newest.

    Packages from earlier calls stay in the folder. With `real` the module is built with the kernel's own headers.
    """
    made = " ".join(f"{kernel.release}:{kernel.resizes}" for kernel in kernels)
    head = {"folder": FOLDER, "version": version, "kernels": made, "real": "yes" if real else ""}
    return "".join(f"{key}={shlex.quote(value)}\n" for key, value in head.items()) + _SCRIPT
