"""Programs from Debian packages that are unpacked and not installed, because an installation would start services."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from rackwright.lab import paths

_AS_INSTALLED = 'mount -t overlay overlay -o "lowerdir=$1:/usr/share" /usr/share; shift; exec "$@"'


def program(package: str) -> list[str]:
    """Return the words that start a package's program of the same name: this machine's, or an unpacked one.

    That one is downloaded once. It has its files in /usr/share, where nothing else on this machine sees them.
    """
    if installed := shutil.which(package):
        return [installed]
    folder = paths.cache() / "unpacked" / package
    with paths.locked("unpacked"):
        if not folder.exists():
            _unpack(package, folder)
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    shown = [f"{folder}/usr/share", f"{folder}/usr/bin/{package}"]
    return [*unshare, "sh", "-ec", _AS_INSTALLED, "sh", *shown]


def _unpack(package: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with paths.scratch(package) as scratch:
        if not _download(package, scratch):
            assert os.geteuid() == 0, f"apt-get download {package} failed; next: apt-get update, as root"
            subprocess.run(["apt-get", "-qq", "update"], check=True, timeout=120)
            assert _download(package, scratch), f"apt-get download {package} failed"
        (archive,) = scratch.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, scratch / "tree"], check=True)
        (scratch / "tree").rename(folder)


def _download(package: str, folder: Path) -> bool:
    command = ["apt-get", "-qq", "download", package]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=300).returncode == 0
