"""The share of a model's conversations that goes to its canary, as running gateways keep it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

CANARY_SECONDS = 300
"""A share that isn't renewed for this long ends, because the run that watched the canary is gone."""

# The file is written first, because a new worker reads it.
SET_CANARY = """lock
server=$(named {model} {begin})
[ -n "$server" ] || {{ echo 'this gateway has no such server' >&2; exit 1; }}
! grep -qs '"manual":true' "$drains/$server" || {{ echo 'an operator drained it manually' >&2; exit 1; }}
moving=$(awk -v model={model} '{{ split($2, part, "|") }} part[6] == model {{ print part[2]; exit }}' \\
    "$cutovers" 2>/dev/null || :)
[ -z "$moving" ] || {{ echo "the model is under the cutover $moving" >&2; exit 1; }}
value="{parts}|$server|$(($(date +%s) + {seconds}))|"{digest}"|"{rollout}
note "$canaries" {model} "$value"
each '' put "$canaries" {model} "$value"
knows "$canaries" {model} "$value"
"""

_END = """note "$canaries" {model} ''
each '' tell "del map $canaries "{model} 'Key not found.'
"""
END_CANARY = f"""lock
{_END}knows_no "$canaries" {{model}}
"""

# Part of the scripts that drain and undrain $server: after these a share makes no sense.
UNSHARE = f"""! grep -qsF "|$server|" "$canaries" || {{{{
{_END}}}}}
"""

CHECK_CANARIES = """answer admin "show map $canaries"
case $said in '' | 0x*) ;; *) unexpected admin "show map $canaries" ;; esac
"""

SHOW_CANARIES = """echo '== canaries'
found=$(entries "$canaries")
printf '%s\n' "$found" |
    awk -v now=$(date +%s) 'NF == 3 { split($3, part, "|"); if (part[3] > now) print $3 }'
"""
_PER_PERCENT = 10_000
"""The map's unit is a millionth of all conversations."""


@dataclass(frozen=True)
class CanaryShare:
    """The share of a canary."""

    percent: float
    """Percentage of new conversations."""
    until: datetime
    """When it ends, unless it is renewed."""
    rollout: str


def parts_of(percent: float) -> int:
    """Return the share in the map's unit."""
    return round(percent * _PER_PERCENT)


def parse_canaries(body: str) -> Iterator[tuple[str, CanaryShare]]:
    """Given the output of SHOW_CANARIES, yield HAProxy's name of each canary's server, and its share."""
    for line in body.splitlines():
        parts, server, until, _, rollout = line.split("|")
        yield server, CanaryShare(int(parts) / _PER_PERCENT, datetime.fromtimestamp(int(until), UTC), rollout)
