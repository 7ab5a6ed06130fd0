"""NVIDIA's own repository: its URL for a release, and its signing keys."""

from __future__ import annotations

from dataclasses import dataclass

_ROOT = "https://developer.download.nvidia.com/compute/cuda/repos"
_KEYS = {
    "3bf863cc.pub": "EB693B3035CD5710E231E123A4B469963BF863CC",
    "8793F200.pub": "02182E60104FCDC26EAE1B8597A5D4CB8793F200",
}
"""File in the repository → fingerprint. The second one signs the repository for Debian 13, whose apt refuses the
SHA-1 of the first one."""
FINGERPRINTS = frozenset(_KEYS.values())


@dataclass(frozen=True)
class Repository:
    url: str
    key_file: str
    """Below the URL."""


def repository_of(system: str, architecture: str) -> Repository:
    """Given `debian 13` and `amd64`, return NVIDIA's repository for it."""
    name, _, version = system.partition(" ")
    folder = "sbsa" if architecture == "arm64" else "x86_64"
    key = "8793F200.pub" if name == "debian" and version >= "13" else "3bf863cc.pub"
    return Repository(f"{_ROOT}/{name}{version.replace('.', '')}/{folder}", key)
