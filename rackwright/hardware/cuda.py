"""Whether a driver can run programs that were built with a version of CUDA."""

from __future__ import annotations

import re
from enum import StrEnum


class Verdict(StrEnum):
    YES = "yes"
    MINOR = "minor"
    """By minor-version compatibility: binaries for this GPU run; code that must first be compiled (PTX) doesn't."""
    NO = "no"


_FIRST_DRIVER = {11: (450, 80, 2), 12: (525, 60, 13), 13: (580, 65, 6)}
"""By major version: the oldest driver for Linux on x86_64 that runs programs built with any of its minor versions."""
_OF_BRANCH = {
    "450": "11.0",
    "470": "11.4",
    "525": "12.0",
    "535": "12.2",
    "550": "12.4",
    "560": "12.6",
    "570": "12.8",
    "575": "12.9",
    "580": "13.0",
    "590": "13.1",
}


def serves(driver: str, driver_cuda: str, wanted: str) -> Verdict:
    """Return whether a driver (its version, and the CUDA that it reports: 13.0) runs programs for CUDA `wanted`.

    A driver runs all older CUDA versions. Raise ValueError if `wanted` isn't a version like 12.8.
    https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html,
    https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/ ("CUDA Toolkit and Minimum Required Driver Version")
    """
    need, has = _numbers(wanted), _numbers(driver_cuda)
    if len(need) < 2:
        raise ValueError(f"{wanted!r} isn't a version of CUDA: should be like 12.8")
    if has[:2] >= need[:2]:
        return Verdict.YES
    first = _FIRST_DRIVER.get(need[0])
    return Verdict.MINOR if first and _numbers(driver) >= first else Verdict.NO


def cuda_of(driver: str) -> str:
    """Return the newest CUDA that a driver's branch supports; empty for an unknown branch.

    https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/ ("CUDA Toolkit and Corresponding Driver Versions")
    """
    return _OF_BRANCH.get(driver.partition(".")[0], "")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,6}", version)) if re.match(r"\d", version) else ()
