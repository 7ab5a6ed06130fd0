"""How downloads leave a network: the proxy, the exceptions to it, and the trusted CAs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from rackwright.values.base import Frozen
from rackwright.values.network import parse_network
from rackwright.values.text import Line

_DOMAIN = re.compile(r"\.?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


# The route of each host lists the addresses of all hosts, so each address is checked once per host.
@cache
def _direct(text: str) -> str:
    if re.fullmatch(r"[0-9.]+(/[0-9]*)?|.*:.*", text, re.DOTALL):
        network = parse_network(text)
        return str(network.network_address) if network.num_addresses == 1 else str(network)
    if len(text) > 253 or not _DOMAIN.fullmatch(text):
        raise ValueError("should be a domain like acme.internal, an address or a network like 10.0.0.0/8")
    return text.removeprefix(".")


Direct = Annotated[str, AfterValidator(_direct)]
"""A destination that is reached without the proxy: a domain with its subdomains, an address, or a network."""


class Route(Frozen):
    """The route of one machine's downloads. Without a proxy here, the machine's own proxy settings apply."""

    proxy: Line | None = None
    """http://host:port."""
    no_proxy: tuple[Direct, ...] = ()
    """Destinations that are reached without the proxy."""
    ca_bundle: Line | None = None
    """A PEM file on that machine with the CAs that verify servers; None means the system's CAs."""

    def proxy_for(self, url: str) -> str | None:
        """Given a URL, return the proxy to request it through, or None if this route sets none."""
        return None if bypasses(self.no_proxy, urlsplit(url).hostname or "") else self.proxy

    @property
    def curl_options(self) -> tuple[str, ...]:
        proxied = ("--proxy", self.proxy, "--noproxy", ",".join(self.no_proxy)) if self.proxy else ()
        return (*proxied, *(("--cacert", self.ca_bundle) if self.ca_bundle else ()))


DIRECT = Route()


def bypasses(no_proxy: Iterable[str], host: str) -> bool:
    """Return whether a host (a name or an address) is reached without the proxy."""
    try:
        address = ip_address(host)
    except ValueError:
        return any(host == domain or host.endswith(f".{domain}") for domain in no_proxy)
    return any(address in network for network in map(_network, no_proxy) if network is not None)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return parse_network(text)
    except ValueError:
        return None
