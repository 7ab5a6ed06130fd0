"""Finds addresses of machines."""

from __future__ import annotations

import ipaddress
import re

from rackwright.migrate.redact.find import Finder, extents, matches, spans


def _ip4(text: str, start: int) -> int | None:
    found = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.[0-9])").match(text, start)
    before = text[max(0, start - 12) : start].lower().rstrip()
    if not found or before.endswith(("version", "release", "section")):
        return None
    numbers = [int(one) for one in found[0].split(".")]
    # A loopback address, the unspecified one and a netmask are the same for everyone.
    return None if max(numbers) > 255 or numbers[0] in (0, 127, 255) else found.end()


def _ip6(text: str) -> bool:
    groups = [group for group in text.split(":") if group]
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    near = re.match("fe80:|f[cd][0-9a-f]{2}:|2[0-9a-f]{3}:", text.lower())
    return any(map(str.isdigit, text)) and (len(groups) >= 3 or bool(near))


FINDERS: tuple[Finder, ...] = (
    (
        "mac",
        matches("[:-][0-9a-f]{2}[:-][0-9a-f]{2}[:-]"),
        spans(r"(?<![\w:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])"),
    ),
    (
        "ip",
        matches(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]"),
        extents(r"(?<![\w.-])(?<![A-Za-z0-9]/)[0-9]{1,3}\.[0-9]", _ip4),
    ),
    (
        "ip",
        matches("::|(?::[0-9a-f]{1,4}){5}"),
        spans(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:(?:\.[0-9]{1,3}){3})?(?![\w:])", check=_ip6),
    ),
)
