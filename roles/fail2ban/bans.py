"""Whether fail2ban could shut out who runs this command: judged before the first change, without pyinfra."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from rackwright.errors import Problem
from rackwright.roles.fail2ban.settings import Settings
from rackwright.values.network import Network


def bans_us(settings: Settings, ignoreip: tuple[Network, ...], controller_address: str) -> Problem | None:
    """Given who is never shut out and the address from which the host sees us, return a problem if we might be."""
    address = ip_address(controller_address.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if settings.manage == "no" or address.is_loopback or any(address in network for network in ignoreip):
        return None
    return Problem(
        where="baseline.fail2ban.ignoreip",
        what=f"{address}, where this command runs, could be shut out",
        should=f"add {address} or its network to ignoreip",
    )
