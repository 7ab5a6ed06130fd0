"""Quotas: how much of them is used, and quotas.map, by which HAProxy refuses and warns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rackwright.operations.log_program import document
from rackwright.roles.usage.program.periods import after_month, daily, monthly
from rackwright.roles.usage.program.state import State, Sum

WARNS_FROM = 80
"""Percent. Below it, quotas.map has no entry."""
_MOST_PERCENT = 999_999
_DAY_SECONDS = 86_400
_PER_DAY, _PER_MONTH = 10, 11
"""Positions of these fields in HAProxy's entry of a key."""


class Quota(NamedTuple):
    """Whose tokens are limited."""

    kind: str
    """"key" or "owner"."""
    name: str
    per_day: int
    """0: no limit."""
    per_month: int

    def limits(self, today: int) -> Iterator[tuple[Sum, int, int]]:
        """Yield, for each period with a limit, what is summed, the limit, and when the period ends (Unix seconds)."""
        if self.per_day:
            yield Sum(self.kind, self.name, daily(today)), self.per_day, (today + 1) * _DAY_SECONDS
        if self.per_month:
            yield Sum(self.kind, self.name, monthly(today)), self.per_month, after_month(today) * _DAY_SECONDS


def team_quotas(text: str) -> Iterator[Quota]:
    """Yield the teams' quotas, which an apply has written. Raise ValueError if these aren't any."""
    for name, per_day, per_month in document.rows(json.loads(text)):
        yield Quota("owner", document.text(name), document.number(per_day), document.number(per_month))


def key_quotas(keys_map: Iterable[str]) -> Iterator[Quota]:
    """Yield the quotas of keys."""
    for line in keys_map:
        fields = line.rstrip("\n").split("|")
        per_day, per_month = (_number(fields[at : at + 1]) for at in (_PER_DAY, _PER_MONTH))
        if per_day or per_month:
            yield Quota("key", fields[0].partition(" ")[2], per_day, per_month)


def _number(field: list[str]) -> int:
    return int(field[0]) if field and field[0].isdecimal() else 0


def wanted(quotas: Iterable[Quota], today: int) -> set[Sum]:
    """Return the sums that these quotas need."""
    return {which for quota in quotas for which, _, _ in quota.limits(today)}


def quotas_map(quotas: Iterable[Quota], state: State, today: int) -> str:
    """Return quotas.map: KIND/NAME → PERCENT|RESET for each quota of which much is used.

    RESET is when the entry no longer counts, in Unix seconds, so that one that nobody updates ends.
    """
    lines = []
    for quota in quotas:
        uses = [
            (min(state.total(which) * 100 // limit, _MOST_PERCENT), ends)
            for which, limit, ends in quota.limits(today)
        ]
        if use := _decisive(uses):
            lines.append(f"{quota.kind}/{quota.name} {use[0]}|{use[1]}\n")
    return "".join(sorted(lines))


def _decisive(uses: list[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the use of the quota that is exceeded for longest, or of the fullest; None if nobody needs a warning."""
    over = [use for use in uses if use[0] >= 100]
    percent, ends = max(over, key=lambda use: use[1]) if over else max(uses)
    return (percent, ends) if percent >= WARNS_FROM else None
