"""Which packages the lock and other commands decide: `patch` and automatic updates leave them alone. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

By = Literal["lock", "runtime update"]

KERNELS = (
    *("linux-image-*", "linux-headers-*", "linux-modules-*", "linux-main-modules-*", "linux-kbuild-*"),
    *("linux-compiler-*", "linux-objects-*", "linux-signatures-*"),
    # Ubuntu's, by what they are for.
    *("linux-generic*", "linux-virtual*", "linux-server*", "linux-lowlatency*", "linux-nvidia*", "linux-oem-*"),
    *("linux-aws*", "linux-azure*", "linux-gcp*", "linux-oracle*"),
)
DRIVERS = (
    *("nvidia-*", "libnvidia-*", "xserver-xorg-video-nvidia*", "firmware-nvidia-*", "libxnvctrl*"),
    *("libegl-nvidia*", "libgl1-nvidia*", "libgles-nvidia*", "libglx-nvidia*", "libnvcuvid1", "libnvoptix1"),
    *("nvlsm", "libnvsdm*", "datacenter-gpu-manager*", "nsight-*", "cuda", "cuda-*", "libcuda1*"),
    # Not libcu*: that is curl and CUPS, too.
    *("libcublas*", "libcudadebugger1", "libcudart*", "libcudnn*", "libcudss*", "libcufft*", "libcufile*"),
    *("libcuinj64-*", "libcuobj*", "libcupti*", "libcurand*", "libcusolver*", "libcusparse*", "libcutensor*"),
    *("libnccl*", "libnpp*", "libnvblas*", "libnvfatbin*", "libnvjitlink*", "libnvjpeg*", "libnvrtc*", "libnvvm*"),
    *("amdgpu", "amdgpu-*", "rocm*"),
    # Not hip*: other programs' names begin with it.
    *("hip-*", "hipblas*", "hipcc*", "hipcub*", "hipfft*", "hipfort*", "hipify-*", "hiprand*", "hipsolver*"),
    *("hipsparse*", "hiptensor*", "mlnx-*", "doca-*"),
)
"""Drivers of GPUs and fabric, with the libraries that must match them."""
RUNTIMES = ("vllm*", "llama.cpp*", "libllama*", "ggml*", "libggml*")


def left_patterns(*, driver: bool) -> dict[str, By]:
    """Return the patterns of package names that patching leaves alone, and which command decides them.

    `driver`: whether the host has a driver that rackwright manages. Only then is its kernel decided by the lock.
    """
    lock = (*DRIVERS, *KERNELS) if driver else DRIVERS
    return {**dict.fromkeys(lock, "lock"), **dict.fromkeys(RUNTIMES, "runtime update")}


def decided_by(name: str, *, driver: bool) -> By | None:
    """Return the command that decides this package's version; None if `patch` does."""
    return next((by for pattern, by in left_patterns(driver=driver).items() if fnmatchcase(name, pattern)), None)


def left_regex(*, driver: bool) -> str:
    """Return an extended regular expression of awk that matches the names that patching leaves alone."""
    return "|".join(f"^{_extended(pattern)}$" for pattern in left_patterns(driver=driver))


def _extended(pattern: str) -> str:
    return pattern.replace(".", "[.]").replace("+", "[+]").replace("*", ".*")
