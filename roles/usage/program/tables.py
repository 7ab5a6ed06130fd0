"""What HAProxy's workers say, as the script `ask` prints it, and what they get."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rackwright.roles.usage.program.periods import PERIOD
from rackwright.roles.usage.program.state import Sum

KEY_LENGTH = 64
"""Of a key in the tables. Each is filled up to it: HAProxy 3.0.11 compares the memory behind a shorter one, too."""
HALF = 10**9
"""A counter of HAProxy has 32 bits, so each sum is in two: gpc0 has what is below this, and gpc1 the rest."""
_MOST_BYTES = 8000
"""Of commands that are sent together; HAProxy reads 16 kB."""
_DROPPED = re.compile(r"== dropped ([0-9]{1,10}) ([0-9]{1,20})")
_TABLE = re.compile(r"== table (\S+)")
_ENTRY = re.compile(r"0x[0-9a-f]+: key=(\S+) .*\bgpc0=([0-9]{1,10}) .*\bgpc1=([0-9]{1,10})\b.*")
_QUOTA = re.compile(r"== quota 0x[0-9a-f]+ (\S+ \S+)")
_KINDS = {"k": "key", "o": "owner"}
_END = "== end"


@dataclass
class Seen:
    """What HAProxy's workers said."""

    dropped: dict[int, int] = field(default_factory=dict)
    """Process id of each worker → how many lines it could not log."""
    used: dict[str, dict[Sum, int]] = field(default_factory=dict)
    """Gateway → tokens."""
    quotas: set[str] = field(default_factory=set)
    """The lines of quotas.map, as the worker that takes new connections has them."""


def parse_seen(text: str) -> Seen:
    """Parse what the script prints. Raise ValueError if it isn't that, or not complete."""
    lines = text.splitlines()
    if not lines or lines[-1] != _END:
        raise ValueError("HAProxy was not asked to the end")
    found, table = Seen(), None
    for line in lines[:-1]:
        if dropped := _DROPPED.fullmatch(line):
            found.dropped[int(dropped[1])] = int(dropped[2])
        elif quota := _QUOTA.fullmatch(line):
            found.quotas.add(quota[1])
        elif begins := _TABLE.fullmatch(line):
            table = found.used.setdefault(begins[1], {})
        elif (entry := _ENTRY.fullmatch(line)) and (which := _sum(entry[1])):
            if table is None:
                raise ValueError("an entry of no table")
            table[which] = int(entry[2]) + int(entry[3]) * HALF
    return found


def changes(gateway: str, sums: Mapping[Sum, int], known: Mapping[Sum, int]) -> Iterator[str]:
    """Yield lines of commands by which the gateway's table gets the sums that it doesn't have."""
    yield from _joined(
        f"set table gateways/used.{gateway} key {_key(which)} data.gpc0 {tokens % HALF} data.gpc1 {tokens // HALF}"
        for which, tokens in sorted(sums.items())
        if known.get(which) != tokens
    )


def _key(which: Sum) -> str:
    return f"{which.kind[0]}|{which.name}|{which.period}|".ljust(KEY_LENGTH, ".")


def _sum(key: str) -> Sum | None:
    kind, name, period, *_ = (*key.split("|"), "", "")
    return Sum(_KINDS[kind], name, period) if kind in _KINDS and PERIOD.fullmatch(period) else None


def _joined(commands: Iterable[str]) -> Iterator[str]:
    line = ""
    for command in commands:
        if len(line) + len(command) > _MOST_BYTES:
            yield line
            line = ""
        line = f"{line};{command}" if line else command
    if line:
        yield line
