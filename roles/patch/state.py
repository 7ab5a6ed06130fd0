"""The script that looks at what patching would change on a host, and the values that it prints. No pyinfra.

Formats: `Inst` lines of apt-get(8) -s, `--print-uris` of apt-get(8), `debsecan --format simple`, README.batch.md of
needrestart.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rackwright.package_set import PackageChange
from rackwright.roles.boot.one_boot import OneBoot
from rackwright.roles.boot.settings import SCRIPT as ONE_BOOT
from rackwright.roles.patch.fetch import fetch_function
from rackwright.roles.patch.scope import left_regex

Way = Literal["archive", "cache", "repack", "none"]
"""Where the file of the version before comes from: apt's archive, apt's cache, dpkg-repack, or nowhere."""
SECONDS = 300
"""Time limit of the script on a host."""
TRACKER = "https://security-tracker.debian.org/tracker/debsecan/release/1"
_TEMPLATE = (Path(__file__).parent / "templates/state.sh").read_text()
_QUESTIONS = (Path(__file__).parent / "templates/questions.sh").read_text()


@dataclass(frozen=True)
class Offered:
    """A change that apt offers this host."""

    change: PackageChange
    security: bool
    """Whether the version after comes from a security suite."""
    origin: str
    """Where apt has it from, like Debian-Security:13/stable-security."""
    back: Way | None
    """The way back; None: the package is new, so the way back is to remove it."""
    unpacked: int = 0
    """Bytes that the version after takes when it is installed."""

    @property
    def name(self) -> str:
        return self.change.package.name


@dataclass(frozen=True)
class Space:
    free: int
    """Bytes."""
    mount: str
    """Where its filesystem is mounted."""


@dataclass(frozen=True)
class Cves:
    """(CVE id, package) pairs of Debian's data."""

    closed: frozenset[tuple[str, str]]
    left: frozenset[tuple[str, str]]
    """Those that the versions after have, too."""


@dataclass(frozen=True)
class PatchState:
    system: str
    """ID and VERSION_ID of os-release, like `debian 13`."""
    architecture: str
    running: str
    """Release of the running kernel."""
    offered: tuple[Offered, ...] = ()
    kept_back: tuple[str, ...] = ()
    """Packages that apt leaves at an older version: on hold, decided by other commands, or only with removals."""
    held: Mapping[str, str] = field(default_factory=dict)
    """Package on hold → the set of the lock that rackwright holds it for, or "" for a person's hold."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Package that dpkg didn't finish → its status, like half-configured."""
    locked: tuple[str, ...] = ()
    """Programs that hold dpkg's lock, with their process ids."""
    space: Mapping[str, Space] = field(default_factory=dict)
    """By folder: /, /usr, /var, /boot."""
    services: tuple[str, ...] | None = None
    """Units that run on libraries that were replaced; None: needrestart isn't there."""
    kernels: tuple[str, ...] = ()
    reboot: str | None = None
    """Packages that already ask for a reboot; None: none does."""
    boot: OneBoot | None = None
    """Whether a kernel can be booted once; None: the host doesn't have the script of roles/boot, or it failed."""
    cves: Cves | None = None
    cves_unknown: str = ""
    """Why `cves` is None, if the host said why."""


def script(*, driver: bool, only_security: bool, tracker: str = TRACKER, curl_options: tuple[str, ...] = ()) -> str:
    """Return the script for `sh -s` as root. It changes nothing outside a folder of its own, which it removes.

    `driver`: whether rackwright manages the host's driver, so that the lock decides its kernel.
    """
    values = {"left": left_regex(driver=driver), "only": "security" if only_security else "", "tracker": tracker}
    values["one_boot"] = ONE_BOOT
    head = "".join(f"{key}={shlex.quote(value)}\n" for key, value in values.items())
    fetch = fetch_function("-m", "60", "--max-filesize", "100000000", *curl_options)
    # In braces nothing runs until the whole script has arrived.
    return f"{{\nset -u\numask 022\n{head}{fetch}{_QUESTIONS}{_TEMPLATE}}}\n"
