"""nftables rules of a gateway that has left, and of the others while they forward its connections to it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from rackwright.operations.haproxy.config_text import render
from rackwright.values.network import Address

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Addresses:
    """Where clients reach a gateway."""

    own: Address
    vip: Address | None
    port: int = 443


def closed(addresses: Addresses) -> str:
    """Return rules that refuse new connections to a gateway and keep the open ones.

    With them, the gateway may keep the virtual address on its loopback interface while another gateway has it. For
    IPv6, it needs no rule: a host answers neighbors only for addresses of the interface that they asked on.
    """
    return render(
        _TEMPLATES,
        "closed.nft.j2",
        own=addresses.own,
        family=_family(addresses.own),
        vip=addresses.vip,
        vip_family=addresses.vip and _family(addresses.vip),
        port=addresses.port,
    )


def handover(vip: Address, to: Address, *, port: int, seconds: int) -> str:
    """Return rules that forward packets for `vip` of connections that this gateway doesn't know to the gateway `to`.

    After `seconds` they forward nothing any more.
    """
    return render(_TEMPLATES, "handover.nft.j2", family=_family(vip), vip=vip, to=to, port=port, seconds=int(seconds))


def _family(address: Address) -> str:
    return "ip" if isinstance(address, IPv4Address) else "ip6"
