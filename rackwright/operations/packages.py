"""Debian packages: missing ones are installed, nothing else is touched."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.packages import InstalledPackages

APT = (
    "DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -q -y -o DPkg::Lock::Timeout=300 "
    "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
)
LISTS_STAMP = "/var/lib/apt/periodic/update-success-stamp"
"""Touched when apt has updated all its lists. If it is missing, they are updated before an installation."""


@operation()
def installed(
    *,
    packages: tuple[str, ...],
    unstarted: tuple[str, ...] = (),
    fresh_minutes: int = 60,
    answers: tuple[str, ...] = (),
    only_with: str | None = None,
) -> Generator[PyinfraCommand]:
    """Install the packages, without the packages that they only recommend.

    If a package is missing, package lists older than `fresh_minutes` are updated first. `unstarted` are units of
    these packages that the installation must neither start nor enable; on a host that already has the packages, the
    units are left alone. `answers` are lines for debconf-set-selections(1): what these packages ask when they are
    installed. `only_with` is a package without which nothing is installed. Waits up to 300 s for another apt.
    """
    found = host.get_fact(InstalledPackages)
    missing = tuple(package for package in packages if package not in found)
    if missing and only_with in (None, *found):
        yield StringCommand(detached(_script(missing, unstarted, fresh_minutes, answers)))


def _script(
    missing: tuple[str, ...], unstarted: tuple[str, ...], fresh_minutes: int, answers: tuple[str, ...] = ()
) -> str:
    listed = " ".join(shlex.quote(package) for package in missing)
    steps = ["set -e", *(f"printf '%s\\n' {shlex.quote(line)} | debconf-set-selections" for line in answers)]
    if unstarted:
        units = " ".join(shlex.quote(unit) for unit in unstarted)
        # The package's scripts don't start a masked unit. The mask is in /run, so it ends at the next boot.
        steps += [
            f"systemctl -q mask --runtime -- {units}",
            f"trap 'systemctl -q unmask --runtime -- {units}; systemctl -q disable -- {units}' EXIT",
        ]
    steps += [
        f'[ -n "$(find {LISTS_STAMP} -mmin -{fresh_minutes} 2>/dev/null)" ] || '
        f"{{ {APT} update && mkdir -p {LISTS_STAMP.rsplit('/', 1)[0]} && touch {LISTS_STAMP}; }}",
        # apt also ends with 0 if it could not fetch the lists. Then they are fetched again next time.
        f"{APT} install --no-install-recommends -- {listed} || {{ rm -f {LISTS_STAMP}; false; }}",
    ]
    return "\n".join(steps)


def detached(script: str) -> str:
    """Return a command that runs the script as its own unit, so that a lost connection doesn't interrupt dpkg."""
    unit = f"rackwright-apt-{hashlib.sha256(script.encode()).hexdigest()[:8]}"
    return (
        f"systemd-run --quiet --wait --collect --expand-environment=no --unit={unit} sh -c {shlex.quote(script)} || "
        f"{{ journalctl -q --no-hostname -o cat -n 20 -u {unit} -t sh >&2; false; }}"
    )
