"""Which packages `patch` changes, and which ones other commands decide. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

By = Literal["lock", "runtime update"]

KERNELS = (
    *("linux-image-*", "linux-headers-*", "linux-modules-*", "linux-kbuild-*", "linux-compiler-*"),
    *("linux-generic*", "linux-virtual*", "linux-server*"),
)
DRIVERS = (
    *(
        "nvidia-*",
        "libnvidia-*",
        "xserver-xorg-video-nvidia*",
        "firmware-nvidia-*",
        "nvlsm",
        "libcuda1",
        "libnvcuvid1",
    ),
    *("cuda-*", "libcublas*", "libcudart*", "libcudnn*", "libcufft*", "libcufile*", "libcupti*", "libcurand*"),
    *("libcusolver*", "libcusparse*", "libnccl*", "libnpp*", "libnvjitlink*", "nsight-*", "datacenter-gpu-manager*"),
    *("amdgpu*", "rocm*", "hip*", "mlnx*", "doca*"),
)
"""Drivers of GPUs and fabric, with the libraries that must match them."""
RUNTIMES = ("vllm*", "llama.cpp*", "libllama*", "libggml*")


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
