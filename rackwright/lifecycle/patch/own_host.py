"""Which host of the fleet this is, if the tool runs on one."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.client.origin import own_address


def own_host(fleet: Fleet, source: Callable[[str], str | None] = own_address) -> str | None:
    """Return the host with the tool that has one of this machine's addresses; None: this is none of them.

    Packets from a machine to itself leave from the address that they go to.
    """
    for name in fleet.tool_hosts:
        for address in {str(fleet.file.hosts[name].address), str(fleet.service(name))}:
            if source(address) == address and not ip_address(address).is_loopback:
                return name
    return None
