"""Choose where requests to the gateways come from: a place from which clients may connect."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from rackwright.errors import RackwrightError
from rackwright.lifecycle.client.request import Asker, FromController, FromHost
from rackwright.lifecycle.session.session import Session


def choose_asker(session: Session) -> Asker:
    """Return the controller if clients may connect from there, else a host of the fleet that isn't a gateway.

    Raise RackwrightError if there is neither.
    """
    gateway = session.fleet.gateways[0]
    if session.fleet.is_local(gateway):
        return FromController("this machine itself, which its own packet filter admits")
    own = own_address(str(session.fleet.service(gateway)))
    if own and any(ip_address(own) in network for network in session.fleet.file.firewall.clients_from):
        return FromController()
    others = _no_gateways(session)
    if not others:
        raise RackwrightError(
            f"the controller ({own or 'no route'}) is not in clients_from, and every host is a gateway",
            where="verify",
            should="verify must ask from an address that clients may have",
            next="add the controller's network to firewall.clients_from, then run rackwright apply",
        )
    return FromHost(session, others[0], "the controller is not in clients_from")


def _no_gateways(session: Session) -> list[str]:
    return [name for name in session.fleet.hosts if name not in session.fleet.gateways and name in session.hosts]


def own_address(towards: str) -> str | None:
    """Return the controller's source address. Connecting a datagram socket looks up the route and sends nothing."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, 443))
        except OSError:
            return None
        return str(probe.getsockname()[0])
