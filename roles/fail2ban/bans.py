"""Whether fail2ban could ban the machine that runs this command, checked before the first change. No pyinfra."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from rackwright.errors import Problem
from rackwright.roles.fail2ban.settings import Settings
from rackwright.values.network import Network


def bans_us(settings: Settings, ignoreip: tuple[Network, ...], controller_address: str) -> Problem | None:
    """Given the networks that are never banned, return a problem if the controller's address could be banned."""
    address = ip_address(controller_address.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if settings.manage == "no" or address.is_loopback or any(address in network for network in ignoreip):
        return None
    return Problem(
        where="baseline.fail2ban.ignoreip",
        what=f"{address}, where this command runs, could be banned",
        should=f"add {address} or its network to ignoreip",
    )
