"""The script that follows the clouds' addresses, and the rules that it loads, as text. No host, no pyinfra."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

from rackwright.operations.haproxy.config_text import render
from rackwright.operations.haproxy.paths import Paths
from rackwright.ports import FIRST_PORT, LAST_PORT, PEERS_PORT
from rackwright.roles.cloud.settings import RULES, RUN, USER, Settings
from rackwright.roles.gateway.configuration import NO_ADDRESS, PATHS
from rackwright.roles.gateway.settings import ADDRESSES
from rackwright.values.network import Address

TEMPLATES = Path(__file__).parent / "templates"
TABLE = "inet rackwright_cloud"
"""A table of its own: an apply that replaces the packet filter's table doesn't forget the addresses."""
PROXY = "proxy"
"""Name of the proxy among the sets of addresses; a cloud's has the prefix `cloud-`."""


def follow_script(settings: Settings, paths: Paths = PATHS, *, run: str = RUN, rules: str = RULES) -> str:
    """Return the script that resolves names, admits the addresses, and only then gives them to HAProxy."""
    return render(
        TEMPLATES,
        "follow.sh.j2",
        settings=settings,
        paths=paths,
        run=run,
        rules=rules,
        table=TABLE,
        proxy=PROXY,
        most=ADDRESSES,
        no_address=NO_ADDRESS,
    )


def egress_rules(settings: Settings) -> str:
    """Return nft's file for a table with empty sets: until the script adds addresses, no cloud can be reached."""
    to = {f"cloud-{cloud.name}": cloud.port for cloud in settings.direct}
    return render(
        TEMPLATES,
        "egress.nft.j2",
        table=TABLE,
        sets=(*to, *((PROXY,) if settings.proxy else ())),
        to=to,
        replicas=tuple(_to(settings.replicas)),
        gateways=tuple(_to(settings.gateways)),
        first=FIRST_PORT,
        last=LAST_PORT,
        peers=PEERS_PORT,
        proxy=settings.proxy,
        user=USER,
    )


def _to(addresses: Iterable[Address]) -> Iterator[str]:
    """Yield one match for each address family."""
    listed = tuple(dict.fromkeys(addresses))
    for family, of in (("ip", True), ("ip6", False)):
        if chosen := [str(one) for one in listed if isinstance(one, IPv4Address) is of]:
            yield f"{family} daddr {{ {', '.join(chosen)} }}"
