"""Try on one host whether a driver's modules build for the set's kernel, with nothing installed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import rackwright.roles.patch
from rackwright.errors import HostError
from rackwright.fleet.lock import DriverLock
from rackwright.hardware.plain_text import plain
from rackwright.operations.dkms_build import DKMS_BUILD
from rackwright.package_set import Package
from rackwright.remote import Completed, Connection
from rackwright.roles.patch.fetch import fetch_function
from rackwright.roles.patch.parse_state import without_user

SECONDS = 1800
"""Limit of the build. Low priority on a busy host makes it several times slower."""
_FETCH_SECONDS = 900
_TEMPLATES = Path(rackwright.roles.patch.__file__).parent / "templates"
_NEEDED = ("linux-headers-*", "linux-kbuild-*", "linux-compiler-*", "*-dkms*", "*kernel-source*")
_ANNOUNCES = re.compile(r"building |\S+ \S+ doesn't build for kernel \S+:$")
"""What the script says before the compiler's lines."""
_MOST_LINES = 8


@dataclass(frozen=True)
class Tried:
    """What a trial build showed."""

    host: str
    version: str
    """The driver's."""
    kernel: str
    state: Literal["builds", "fails", "unknown"]
    lines: tuple[str, ...] = ()
    """The compiler's errors, or why it couldn't be tried."""


def needed_of(locked: DriverLock) -> tuple[Package, ...]:
    """Return the packages of a set that a build needs: headers of its kernel, and the modules' source."""
    return tuple(one for one in locked.packages if any(fnmatchcase(one.name, pattern) for pattern in _NEEDED))


def try_build(connection: Connection, locked: DriverLock, curl_options: tuple[str, ...] = ()) -> Tried:
    """Build the set's modules for its kernel in a folder that is removed, at the lowest priority.

    Raise HostError if the host can't be reached.
    """
    script = build_script(locked, curl_options)
    answer = connection.run("sh -s", stdin=script, timeout=SECONDS + _FETCH_SECONDS)
    return tried_of(connection.name, locked, answer)


def tried_of(host: str, locked: DriverLock, answer: Completed) -> Tried:
    """Return what the script's end means."""
    if answer.killed:
        raise HostError("the trial build was ended by a signal", where=host)
    lines = tuple(
        without_user(plain(line, 240)) for line in answer.last_lines(_MOST_LINES) if not _ANNOUNCES.match(line)
    )
    if answer.ok:
        return Tried(host, locked.version, locked.kernel, "builds")
    state: Literal["fails", "unknown"] = "fails" if answer.exit_status == 1 and lines else "unknown"
    return Tried(host, locked.version, locked.kernel, state, lines or ("it ended without a reason",))


def build_script(locked: DriverLock, curl_options: tuple[str, ...] = (), *, seconds: int = SECONDS) -> str:
    """Return the script for `sh -s` as root."""
    values = {
        "files": "\n".join(f"{one.url} {one.sha256} {one.file}" for one in needed_of(locked)),
        "kernel": locked.kernel,
        "seconds": str(seconds),
        "build": DKMS_BUILD + (_TEMPLATES / "build.sh").read_text(),
    }
    head = "".join(f"{key}={shlex.quote(value)}\n" for key, value in values.items())
    fetch = fetch_function("-m", str(_FETCH_SECONDS), *curl_options)
    return f"{{\nset -u\numask 022\n{head}{fetch}{(_TEMPLATES / 'try_build.sh').read_text()}}}\n"
