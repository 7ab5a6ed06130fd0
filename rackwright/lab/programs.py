"""The programs that the lab needs on this machine. Missing ones are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from rackwright.errors import RackwrightError
from rackwright.lab import paths

OF_LAB = {
    "podman": "podman",
    "crun": "crun",
    "netavark": "netavark",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "ssh-keygen": "openssh-client",
    "curl": "curl",
}
OF_VM = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "ssh": "openssh-client",
}
"""Debian's package by program."""
_ELSEWHERE = "/usr/lib/podman:/usr/libexec/podman:/usr/local/libexec/podman:/usr/sbin:/sbin"


def missing(programs: Mapping[str, str] = OF_LAB) -> list[str]:
    """Return the Debian packages of the `programs` that this machine lacks."""
    path = f"{os.environ.get('PATH', '')}:{_ELSEWHERE}"
    return sorted({package for program, package in programs.items() if not shutil.which(program, path=path)})


def ensure(programs: Mapping[str, str] = OF_LAB) -> None:
    """Install missing `programs`. Raise RackwrightError without root, or if the installation fails."""
    if os.geteuid() != 0:
        raise RackwrightError(
            "needs root, because its hosts boot systems of their own",
            where="lab",
            next="run it again with sudo",
        )
    if missing(programs):
        with paths.locked("programs"):
            _install(missing(programs))


def _install(packages: list[str]) -> None:
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise RackwrightError(f"install {' '.join(packages)} with this machine's package manager", where="lab")
    _apt("update")
    _apt("install", "--yes", "--no-install-recommends", *packages)


def _apt(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", "-q", *arguments], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise RackwrightError(f"apt-get {arguments[0]} failed:\n{last}", where="lab")
