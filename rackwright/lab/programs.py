"""What the lab needs on this machine, installed where root may."""

from __future__ import annotations

import os
import shutil
import subprocess

from rackwright.errors import RackwrightError

_PACKAGES = {
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
_ELSEWHERE = "/usr/lib/podman:/usr/libexec/podman:/usr/local/libexec/podman:/usr/sbin:/sbin"


def missing() -> list[str]:
    """Return the Debian packages whose programs this machine lacks."""
    path = f"{os.environ.get('PATH', '')}:{_ELSEWHERE}"
    return sorted({package for program, package in _PACKAGES.items() if not shutil.which(program, path=path)})


def ensure() -> None:
    """All programs are here afterwards. Raise RackwrightError if root is needed, or apt isn't there."""
    if os.geteuid() != 0:
        raise RackwrightError(
            "needs root: its hosts boot systemd in podman containers",
            where="lab",
            next="run it again with sudo",
        )
    packages = missing()
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
