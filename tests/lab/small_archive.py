"""A small apt archive of our own on a lab host: packages at N and N+1 in the suites `lab` and `lab-security`.

The packages are small, apt and dpkg are real. `archive(...)` is a shell script that makes the archive. Run it again
to publish other packages. It needs dpkg-deb and apt-ftparchive, which the lab's image has, and no compiler.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

FOLDER = "/srv/archive"
"""On the host: one folder for each suite."""
SOURCES = "/etc/apt/sources.list.d/small-archive.sources"
ASIDE = "/srv/other-sources"
"""Where the host's other sources are meanwhile."""
LOCKED = """systemd-run -q --collect --unit=lock -p Type=notify -p NotifyAccess=all perl -MFcntl -e '
open F, "+<", shift; $l = pack "s s x![q] q q i x![q]", F_WRLCK, 0, 0, 0, 0;
fcntl F, F_SETLKW, $l and system "systemd-notify", "--ready"; sleep 100' /var/lib/dpkg/lock-frontend"""
"""A command after which a process has locked dpkg as dpkg does, until `systemctl stop lock`."""
Suite = Literal["lab", "lab-security"]
_LABELS: Mapping[Suite, str] = {"lab": "Debian", "lab-security": "Debian-Security"}
_ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class SmallPackage:
    name: str
    version: str
    suite: Suite | None = "lab"
    """None: in no suite, so apt can't find it. Its file is in FOLDER/elsewhere, for `dpkg -i`."""
    fields: tuple[str, ...] = ()
    """Additional lines of its control file, like `Depends: small-library (= 2)`."""
    architecture: str = "all"
    files: Mapping[str, str] = field(default_factory=dict)
    """Absolute path → content. Those below /etc are conffiles."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """Absolute path → the host's file that is copied there."""
    scripts: Mapping[str, str] = field(default_factory=dict)
    """Maintainer scripts, without the first line: postinst, prerm …"""

    @property
    def file(self) -> str:
        """The path of its .deb on the host."""
        return f"{FOLDER}/{self.suite or _ELSEWHERE}/{self.name}_{self.version}_{self.architecture}.deb"


def library(version: str, suite: Suite | None = "lab") -> SmallPackage:
    """Return small-library: a shared library, which `service` has loaded."""
    library = "/usr/lib/x86_64-linux-gnu"
    return SmallPackage(
        "small-library",
        version,
        suite,
        files={"/usr/share/small-library/version": f"{version}\n"},
        copies={f"{library}/libsmall.so.1": f"{library}/libm.so.6"},
    )


def service(version: str, suite: Suite | None = "lab", *, unit: str = "small") -> SmallPackage:
    """Return small-service: its unit runs with small-library, and goes on with the old one until it is restarted."""
    return SmallPackage(
        "small-service",
        version,
        suite,
        fields=("Depends: small-library",),
        files={
            f"/usr/lib/systemd/system/{unit}.service": (
                "[Service]\nType=exec\nEnvironment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libsmall.so.1\n"
                "ExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
            ),
            "/etc/small-service.conf": f"version {version}\n",
        },
    )


def failing(version: str, suite: Suite | None = "lab") -> SmallPackage:
    """Return small-failing, whose postinst fails."""
    scripts = {"postinst": "echo 'the postinst of small-failing fails' >&2; exit 1"}
    return SmallPackage("small-failing", version, suite, scripts=scripts)


def kernel(release: str, suite: Suite | None = "lab") -> Iterator[SmallPackage]:
    """Yield stand-ins of a kernel: linux-image-RELEASE, which runs the kernel hooks, and linux-image-lab."""
    image = SmallPackage(
        f"linux-image-{release}",
        "1",
        suite,
        files={
            f"/boot/vmlinuz-{release}": "stand-in of a kernel\n",
            f"/lib/modules/{release}/modules.order": "",
            f"/lib/modules/{release}/modules.builtin": "",
        },
        scripts={
            "postinst": f"exec run-parts --arg={release} --arg=/boot/vmlinuz-{release} /etc/kernel/postinst.d",
        },
    )
    yield image
    yield SmallPackage("linux-image-lab", release, suite, fields=(f"Depends: {image.name}",))


def archive(*packages: SmallPackage, alone: bool = True) -> str:
    """Return a script after which the archive has exactly these packages and apt knows it.

    `alone`: the host's other sources are put into ASIDE, so that `apt-get update` needs no network. Debian's own
    packages that the test needs must be installed before.
    """
    # Hosts that make the same packages get the same files, to the last byte.
    parts = [
        "set -eu\nexport SOURCE_DATE_EPOCH=1000000000",
        f"folder={FOLDER}\nrm -rf -- $folder\nmkdir -p {ASIDE} $folder/{_ELSEWHERE}",
    ]
    if alone:
        others = "/etc/apt/sources.list /etc/apt/sources.list.d/*"
        parts.append(
            f'for one in {others}; do [ ! -e "$one" ] || [ "$one" = {SOURCES} ] || mv -- "$one" {ASIDE}; done'
        )
    parts += [_built(package) for package in packages]
    parts += [_suite(suite, label) for suite, label in _LABELS.items()]
    entries = "\n".join(
        # With copy:, apt's cache gets the file as it would over HTTP.
        f"Types: deb\nURIs: copy:{FOLDER}/{suite}\nSuites: ./\nTrusted: yes\n"
        for suite in _LABELS
    )
    parts.append(f"printf %s {shlex.quote(entries)} >{SOURCES}")
    return "\n".join(parts) + "\n"


def no_archive() -> str:
    """Return a script after which the host has its own sources again."""
    return (
        f"set -eu\nrm -rf -- {FOLDER} {SOURCES}\n"
        f'for one in {ASIDE}/*; do case $one in */sources.list) mv -- "$one" /etc/apt ;; '
        f'*) [ ! -e "$one" ] || mv -- "$one" /etc/apt/sources.list.d ;; esac; done\nrm -rf -- {ASIDE}\n'
    )


def _built(package: SmallPackage) -> str:
    control = "\n".join(
        (
            f"Package: {package.name}",
            f"Version: {package.version}",
            f"Architecture: {package.architecture}",
            "Maintainer: tests <lab@localhost>",
            "Installed-Size: 100",
            *package.fields,
            "Description: a small package of the tests",
            "",
        )
    )
    files = {"/DEBIAN/control": control, **package.files}
    if conffiles := [path for path in package.files if path.startswith("/etc/")]:
        files["/DEBIAN/conffiles"] = "".join(f"{path}\n" for path in conffiles)
    files |= {f"/DEBIAN/{name}": f"#!/bin/sh\nset -e\n{text}\n" for name, text in package.scripts.items()}
    lines = ["work=$(mktemp -d)", 'chmod 0755 "$work"']
    for path, text in files.items():
        lines += [_folder(path), f'printf %s {shlex.quote(text)} >"$work"{shlex.quote(path)}']
    for path, source in package.copies.items():
        lines += [_folder(path), f'cp -L -- {shlex.quote(source)} "$work"{shlex.quote(path)}']
    lines += [f'chmod 0755 "$work"/DEBIAN/{name}' for name in package.scripts]
    lines += [
        f"mkdir -p {package.file.rpartition('/')[0]}",
        f'dpkg-deb --root-owner-group -b "$work" {shlex.quote(package.file)} >/dev/null',
        'rm -rf -- "$work"',
    ]
    return "\n".join(lines)


def _folder(path: str) -> str:
    return f'mkdir -p "$work"{shlex.quote(path.rpartition("/")[0])}'


def _suite(suite: Suite, label: str) -> str:
    settings = {"Origin": "Debian", "Label": label, "Suite": suite, "Codename": suite}
    options = " ".join(f"-o APT::FTPArchive::Release::{key}={value}" for key, value in settings.items())
    return (
        f"mkdir -p $folder/{suite}\ncd $folder/{suite}\napt-ftparchive packages . >Packages\n"
        f"apt-ftparchive {options} release . >../release\nmv ../release Release\ncd /"
    )
