"""From where the gateways are asked: where clients may stand."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from rackwright.errors import RackwrightError
from rackwright.lifecycle.client.request import Asker, FromController, FromHost
from rackwright.lifecycle.session.session import Site


def choose_asker(site: Site) -> Asker:
    """Return the controller if clients may stand there, else a host of the fleet that is no gateway."""
    gateway = site.fleet.gateways[0]
    if site.fleet.is_local(gateway):
        return FromController("this machine itself, which its packet filter lets through")
    own = _own_address(str(site.fleet.service(gateway)))
    if own and any(ip_address(own) in network for network in site.fleet.file.firewall.clients_from):
        return FromController()
    others = _no_gateways(site)
    if not others:
        raise RackwrightError(
            f"the controller ({own or 'no route'}) is not in clients_from, and every host is a gateway",
            where="verify",
            should="a client's place to ask from",
            next="add the controller's network to firewall.clients_from, then rackwright apply",
        )
    return FromHost(site, others[0], "the controller is not in clients_from")


def _no_gateways(site: Site) -> list[str]:
    return [name for name in site.fleet.hosts if name not in site.fleet.gateways and name in site.models]


def _own_address(towards: str) -> str | None:
    """Which address the controller would use: connecting a datagram socket asks the routes and sends nothing."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, 443))
        except OSError:
            return None
        return str(probe.getsockname()[0])
