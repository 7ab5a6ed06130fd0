"""Requests that a cloud answered in the fleet's place, as running gateways count them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SHOW_FALLBACKS = r"""echo "== now $(date +%s)"
echo '== most'
[ ! -e "$cutovers" ] || awk '{ split($2, part, "|"); if (part[7] > 0) print part[2], part[7] }' "$cutovers" | sort -u
echo '== counts'
answer admin 'show table'
case $said in '# table: '*) ;; *) unexpected admin 'show table' ;; esac
for table in $(printf '%s\n' "$said" | sed -n 's/^# table: \(gateways\/fallbacks[.][a-z0-9-]*\),.*/\1/p'); do
    answer admin "show table $table"
    printf '%s\n' "$said"
done
"""
"""Prints the fallbacks that the gateway allows, and the counts of all gateways as far as it knows them."""
_MOST = re.compile(r"(?P<migration>[a-z][a-z0-9-]{0,23}) (?P<most>[0-9]{1,7})")
_TABLE = re.compile(r"# table: gateways/fallbacks\.(?P<gateway>[a-z][a-z0-9-]{0,23}),")
_COUNT = re.compile(
    r"0x[0-9a-f]+: key=(?P<migration>[a-z][a-z0-9-]{0,23})\|(?P<hour>[0-9]{1,7})(?:\|\.*)? .*"
    r"gpc0=(?P<wanted>[0-9]{1,10}) gpc1=(?P<sent>[0-9]{1,10})"
)


@dataclass(frozen=True)
class Counted:
    """A migration's requests in one clock hour at one gateway that no replica took."""

    wanted: int = 0
    sent: int = 0
    """To the cloud; the others were refused, because it had answered as many as it may."""


@dataclass(frozen=True)
class GatewayFallbacks:
    """What one gateway says."""

    hour: int
    """The present one by its clock, hours since 1970."""
    most: Mapping[str, int]
    """Migration → how many requests in an hour may fall back."""
    counts: Mapping[tuple[str, str, int], Counted]
    """Migration, gateway and hour → its counts; of other gateways, copies."""


@dataclass(frozen=True)
class Fallback:
    """A migration's fallback over all gateways."""

    migration: str
    most: int
    """Requests in an hour; 0: it is off."""
    sent: int = 0
    """In the present clock hour."""
    sent_before: int = 0
    """In the hour before."""
    refused: int = 0
    """In both hours, because the cloud had answered as many as it may."""

    @property
    def alarm(self) -> str:
        """What an operator must know; "": no request has fallen back in this hour or the one before."""
        if not (self.sent or self.sent_before or self.refused):
            return ""
        limit = f"at most {self.most:,} an hour" if self.most else "it is off now"
        refused = f"; refused past that: {self.refused:,}" if self.refused else ""
        return (
            f"fallback of {self.migration}: the cloud got requests that no replica took: {self.sent:,} in this hour, "
            f"{self.sent_before:,} in the hour before; {limit}{refused}"
        )


def parse_fallbacks(said: str) -> GatewayFallbacks:
    """Parse what SHOW_FALLBACKS prints. Raise ValueError if it isn't that."""
    now, _, rest = said.partition("\n== most\n")
    most, _, counts = rest.partition("== counts\n")
    time = re.fullmatch(r"== now ([0-9]{1,11})", now)
    if not time:
        raise ValueError("it says no time")
    return GatewayFallbacks(int(time[1]) // 3600, _most(most), _counts(counts))


def fallbacks_of(gateways: Iterable[GatewayFallbacks]) -> tuple[Fallback, ...]:
    """Return each migration's fallback, by what all of these gateways say."""
    known = tuple(gateways)
    hour = max((one.hour for one in known), default=0)
    counts: dict[tuple[str, str, int], Counted] = {}
    for one in known:
        for of, found in one.counts.items():
            before = counts.get(of, Counted())
            counts[of] = Counted(max(found.wanted, before.wanted), max(found.sent, before.sent))
    migrations = sorted({*(name for one in known for name in one.most), *(migration for migration, _, _ in counts)})
    return tuple(_whole(name, known, counts, hour) for name in migrations)


def _whole(
    name: str, known: tuple[GatewayFallbacks, ...], counts: Mapping[tuple[str, str, int], Counted], hour: int
) -> Fallback:
    most = max(one.most.get(name, 0) for one in known)
    # A gateway's clock may be a moment behind.
    now = [one for (migration, _, at), one in counts.items() if migration == name and at >= hour]
    before = [one for (migration, _, at), one in counts.items() if migration == name and at == hour - 1]
    refused = sum(max(0, one.wanted - one.sent) for one in (*now, *before))
    return Fallback(name, most, sum(one.sent for one in now), sum(one.sent for one in before), refused)


def _most(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in text.splitlines():
        part = _MOST.fullmatch(line)
        if not part:
            raise ValueError("not a migration and a number")
        found[part["migration"]] = max(int(part["most"]), found.get(part["migration"], 0))
    return found


def _counts(text: str) -> dict[tuple[str, str, int], Counted]:
    found: dict[tuple[str, str, int], Counted] = {}
    gateway = ""
    for line in text.splitlines():
        if table := _TABLE.match(line):
            gateway = table["gateway"]
        elif one := _COUNT.fullmatch(line):
            found[one["migration"], gateway, int(one["hour"])] = Counted(int(one["wanted"]), int(one["sent"]))
    return found
