"""Debian packages that belong together, at exact versions: named in the lock, stored on a host, installed as one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated

from pydantic import StringConstraints

from rackwright.values.base import Frozen
from rackwright.values.file import Bytes
from rackwright.values.text import Line, Sha256, Shape

ROOT = "/var/lib/rackwright/packages"
"""The folder on a host with one folder per set: the current one and the previous one."""

PackageName = Annotated[
    str, Shape(r"[a-z0-9][a-z0-9+.-]{0,98}", "should be the name of a Debian package, like linux-image-amd64")
]

Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+:~-]{1,100}$")]
"""A version of a Debian package, with its epoch."""


class Package(Frozen):
    """One .deb file. Its content is fixed by size (bytes) and sha256."""

    name: PackageName
    version: Version
    architecture: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,16}$")]
    size: Bytes
    sha256: Sha256
    url: Line
    """https://… or http://…, or file:///absolute/path on the host itself."""

    @property
    def file(self) -> str:
        """Its file name in the set's folder, as in apt's own cache: without the version's epoch."""
        version = self.version.partition(":")[2] or self.version
        return f"{self.name}_{version}_{self.architecture}.deb"


class PackageChange(Frozen):
    """A package that a patch run brings to another version, or installs because a changed one depends on it."""

    package: Package
    """The file of the version after."""
    before: Version | None = None
    """The version that is installed now; None: the package is new."""


def set_digest(packages: Iterable[Package]) -> str:
    """Return the sha256 of the sorted lines `sha256 name version`, each with a newline at its end."""
    lines = sorted(f"{package.sha256} {package.name} {package.version}\n" for package in packages)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class PackageSet(Frozen):
    packages: tuple[Package, ...]

    @property
    def digest(self) -> str:
        return set_digest(self.packages)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.digest[:16]

    @property
    def folder(self) -> str:
        return f"{ROOT}/{self.name}"

    @property
    def size(self) -> int:
        """The total size of all files, in bytes."""
        return sum(package.size for package in self.packages)
