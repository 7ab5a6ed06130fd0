"""The settings of apt, unattended-upgrades and needrestart. No pyinfra."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rackwright.roles.patch.scope import DRIVERS, KERNELS, RUNTIMES
from rackwright.roles.updates.settings import Settings

MARK = "Rackwright::Updates"
"""Set in rackwright's file, so that apt's effective settings show whether that file was read."""
EXCLUDED = (*KERNELS, "linux-firmware*", *DRIVERS, *RUNTIMES, "haproxy", "haproxy-awslc")
"""Kernel, GPU and fabric drivers with their libraries, HAProxy, serving runtimes: only rollouts change them."""
ORIGINS = (
    "origin=Debian,codename=${distro_codename}-security,label=Debian-Security",
    "origin=Debian,codename=${distro_codename},label=Debian-Security",
    "origin=Ubuntu,archive=${distro_codename}-security",
    "origin=UbuntuESM,archive=${distro_codename}-infra-security",
    "origin=UbuntuESMApps,archive=${distro_codename}-apps-security",
)
SWITCHES: Mapping[str, str] = {
    "APT::Periodic::Update-Package-Lists": "1",
    "APT::Periodic::Unattended-Upgrade": "1",
    "Unattended-Upgrade::Automatic-Reboot": "false",
    "Unattended-Upgrade::Remove-Unused-Kernel-Packages": "false",
    "Unattended-Upgrade::Remove-Unused-Dependencies": "false",
}
_NEEDRESTART = """\
# Written by rackwright: baseline.updates of the fleet file.
# Services that use an updated library are restarted; engines, proxies and the services that use the GPUs never are.
$nrconf{restart} = 'a';
$nrconf{kernelhints} = -1;
$nrconf{override_rc}->{qr(^rackwright-)} = 0;
$nrconf{override_rc}->{qr(^nvidia-)} = 0;
$nrconf{override_rc}->{qr(^nv-hostengine)} = 0;
$nrconf{override_rc}->{qr(^dcgm)} = 0;
1;
"""


def apt(settings: Settings) -> str:
    """Return rackwright's file in the syntax of apt.conf(5); packages that other files exclude stay excluded."""
    lines = ["// Written by rackwright: baseline.updates of the fleet file.", f'{MARK} "yes";']
    lines += [f'{key} "{value}";' for key, value in SWITCHES.items()]
    lines += ["#clear Unattended-Upgrade::Allowed-Origins;", "#clear Unattended-Upgrade::Origins-Pattern;"]
    lines += _listed("Origins-Pattern", ORIGINS)
    lines += _listed("Package-Blacklist", tuple(_pattern(package) for package in (*EXCLUDED, *settings.exclude)))
    return "\n".join(lines) + "\n"


def needrestart() -> str:
    """Return rackwright's needrestart file: Perl, read after needrestart's own configuration."""
    return _NEEDRESTART


def _listed(key: str, entries: tuple[str, ...]) -> list[str]:
    return [f"Unattended-Upgrade::{key} {{", *(f'  "{entry}";' for entry in entries), "};"]


def _pattern(package: str) -> str:
    """Return the regular expression for a name; unattended-upgrades matches it at the beginning of package names."""
    name = re.escape(package.removesuffix("*")).replace("\\-", "-")
    return name if package.endswith("*") else f"{name}$"
