"""The packet filter as nft(8) reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rackwright.roles.firewall.settings import Opening, Settings

_LONGEST_COMMENT = 120
"""nft refuses comments over 128 bytes."""


def rules(settings: Settings) -> str:
    """Given what stands open, return a file that replaces our table, and nothing else, in one step."""
    # The text is for nft, not for a browser: there is nothing to escape as HTML.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    lines = [line for opening in settings.openings for line in _opening(opening)]
    return environment.get_template("rackwright.nft.j2").render(rules=lines)


def _opening(opening: Opening) -> Iterator[str]:
    verdict = f'{opening.protocol} dport {opening.port} accept comment "{_comment(opening.why)}"'
    if not opening.sources:
        yield verdict
        return
    four = tuple(collapse_addresses(net for net in opening.sources if isinstance(net, IPv4Network)))
    six = tuple(collapse_addresses(net for net in opening.sources if isinstance(net, IPv6Network)))
    if four:
        yield f"{_from('ip', 'ipv4', four)} {verdict}"
    if six:
        yield f"{_from('ip6', 'ipv6', six)} {verdict}"


def _from(family: str, protocol: str, networks: tuple[IPv4Network, ...] | tuple[IPv6Network, ...]) -> str:
    if networks[0].prefixlen == 0:
        return f"meta nfproto {protocol}"
    return f"{family} saddr {{ {', '.join(str(network) for network in networks)} }}"


def _comment(why: str) -> str:
    """nft has no escape for a quote within a string."""
    return re.sub(r"[^A-Za-z0-9 .,:;_@/()+=-]", "_", why)[:_LONGEST_COMMENT]
