"""The names of the driver's packages, which differ between repositories.

Sources: the package lists of Debian 13 (contrib, non-free); NVIDIA Driver Installation Guide, "Compute-only
(headless)" and "Recent Updates" (Ubuntu's names lose their branch with 590); Ubuntu's restricted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Modules = Literal["open", "proprietary"]
Need = Literal["fabric", "subnet"]
"""Needed with the driver: Fabric Manager for NVSwitches; from Blackwell on, the NVLink subnet manager, too."""


@dataclass(frozen=True)
class Layout:
    """Names of packages, in which {branch} is replaced by the branch."""

    open: str | None
    """Source of the open modules, for DKMS; None: there is none."""
    proprietary: str | None
    parts: tuple[tuple[str, ...], ...]
    """Parts that a compute host needs, each with its possible names; the first one that exists is used."""
    maybe: tuple[str, ...] = ()
    """Installed if such packages exist."""

    def module(self, modules: Modules) -> str | None:
        return self.open if modules == "open" else self.proprietary


_DEBIAN = Layout(
    open="nvidia-open-kernel-dkms",
    proprietary="nvidia-kernel-dkms",
    parts=(("nvidia-smi",), ("libnvidia-ml1",), ("libcuda1",), ("nvidia-persistenced",)),
    maybe=("libnvidia-ptxjitcompiler1", "libnvidia-nvvm4", "firmware-nvidia-gsp", "nvidia-modprobe"),
)
_DEBIAN_TESLA = Layout(
    open=None,
    proprietary="nvidia-tesla-{branch}-kernel-dkms",
    parts=(
        ("nvidia-tesla-{branch}-smi",),
        ("libnvidia-tesla-{branch}-ml1",),
        ("libnvidia-tesla-{branch}-cuda1",),
        ("nvidia-persistenced",),
    ),
    maybe=("libnvidia-tesla-{branch}-ptxjitcompiler1", "libnvidia-tesla-{branch}-nvvm4"),
)
_NVIDIA_DEBIAN = Layout(
    open="nvidia-kernel-open-dkms",
    proprietary="nvidia-kernel-dkms",
    parts=(("nvidia-driver-cuda",), ("nvidia-persistenced",)),
    maybe=("nvidia-modprobe", "firmware-nvidia-gsp"),
)
_UBUNTU = Layout(
    open="nvidia-dkms-open",
    proprietary="nvidia-dkms",
    parts=(("libnvidia-compute",), ("nvidia-utils", "nvidia-driver-cuda", "nvidia-smi"), ("nvidia-persistenced",)),
    maybe=("nvidia-modprobe",),
)
_UBUNTU_BRANCH = Layout(
    open="nvidia-dkms-{branch}-open",
    proprietary="nvidia-dkms-{branch}",
    parts=(
        ("libnvidia-compute-{branch}",),
        ("nvidia-utils-{branch}",),
        ("nvidia-compute-utils-{branch}", "nvidia-persistenced"),
    ),
)
_UBUNTU_SERVER = Layout(
    open="nvidia-dkms-{branch}-server-open",
    proprietary="nvidia-dkms-{branch}-server",
    parts=(
        ("libnvidia-compute-{branch}-server",),
        ("nvidia-utils-{branch}-server",),
        ("nvidia-compute-utils-{branch}-server",),
    ),
)
LAYOUTS = (_NVIDIA_DEBIAN, _UBUNTU, _UBUNTU_SERVER, _UBUNTU_BRANCH, _DEBIAN, _DEBIAN_TESLA)
"""In the order in which they are tried; the first one whose modules exist in the branch is used."""

_NEEDS: dict[Need, tuple[tuple[str, ...], ...]] = {
    "fabric": (("nvidia-fabricmanager", "nvidia-fabricmanager-{branch}", "cuda-drivers-fabricmanager-{branch}"),),
    "subnet": (("nvlsm",),),
}


def lines(branch: str, modules: Modules, needs: tuple[Need, ...]) -> Iterator[str]:
    """Yield each layout as one line: module, parts (alternatives joined by |), and optional packages (?)."""
    major = branch.partition(".")[0]
    for layout in LAYOUTS:
        if module := layout.module(modules):
            parts = [*layout.parts, *(part for need in needs for part in _NEEDS[need])]
            words = [module, *("|".join(part) for part in parts), *(f"?{name}" for name in layout.maybe)]
            yield " ".join(words).replace("{branch}", major)


HELD = (
    "linux-image-*",
    "linux-headers-*",
    "linux-kbuild-*",
    "linux-modules-*",
    "nvidia-*",
    "libnvidia-*",
    "libcuda1",
    "libnvcuvid1",
    "firmware-nvidia-*",
    "cuda-drivers*",
    "nvlsm",
)
"""Packages that belong to a set, whichever repository they come from. All packages of its own repository do, too."""
NOT_HELD = ("*container*", "*toolkit*", "*cudnn*")
"""Packages whose names look like a driver but that aren't part of it; they must still get security updates."""
