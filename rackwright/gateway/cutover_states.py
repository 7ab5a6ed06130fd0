"""What a running gateway says of a cutover."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from rackwright.values.base import Stored
from rackwright.values.text import Name

_LINE = re.compile(
    r"(?:0x[0-9a-f]+ )?(?P<name>[A-Za-z0-9][A-Za-z0-9._:/-]{0,95}) "
    r"(?P<parts>[0-9]{1,7})\|(?P<migration>[a-z][a-z0-9-]{0,23})\|(?P<opens>[0-9]{1,12})\|(?P<ends>[0-9]{1,12})\|"
    r"(?P<change>[A-Za-z0-9.-]{1,40})\|(?P<model>[a-z][a-z0-9-]{0,23})"
    r"(?:\|(?P<fallback>[0-9]{1,7}))?"
)
_TABLE = re.compile(r"# table: gateways/dealt\.(?P<gateway>[a-z][a-z0-9-]{0,23}),")
_DEALT = re.compile(
    r"0x[0-9a-f]+: key=(?P<change>[A-Za-z0-9.-]{1,40})\|\S{1,192} .*"
    r"gpc0=(?P<fleet>[0-9]{1,15}) gpc1=(?P<cloud>[0-9]{1,15})"
)
_PER_PERCENT = 10_000


class CutoverRecord(Stored):
    """Who changed a migration's share at a gateway last."""

    format: str = "cutover/1"
    migration: Name
    share: float
    """Percent of new conversations."""
    change: str = ""
    """Names the change."""
    back: bool = False
    """Whether it was a rollback: all requests go to the cloud."""
    who: Annotated[str, Field(max_length=200)]
    time: int = 0
    """By the gateway's clock, Unix seconds."""


@dataclass(frozen=True)
class Share:
    """What the fleet gets of the requests for one name."""

    percent: float
    change: str
    """Which change set it."""
    opens: int
    """From when conversations that the gateways don't know count as new, Unix seconds."""
    ends: int
    """From when all requests go to the fleet, Unix seconds; 0: never."""
    model: str
    """The fleet's model."""
    fallback: int = 0
    """How many requests of the migration in an hour the cloud may answer in the fleet's place."""


@dataclass(frozen=True)
class Dealt:
    """How many new conversations a gateway has assigned since a change."""

    fleet: int
    cloud: int

    @property
    def total(self) -> int:
        return self.fleet + self.cloud


@dataclass(frozen=True)
class GatewayCutover:
    """A migration's cutover at one gateway."""

    now: int
    """By its clock, Unix seconds."""
    shares: Mapping[str, Share]
    """Served name → its share, as a new worker would read it; empty: all requests go to the cloud."""
    held: Mapping[str, Share]
    """The same, as the worker has it that takes new connections."""
    record: CutoverRecord | None
    panic: bool
    """Whether the panic file exists."""
    dealt: Mapping[str, Dealt]
    """Change → new conversations."""

    @property
    def change(self) -> str:
        """The change that set the share; "": there is none."""
        return next((one.change for one in self.shares.values()), "")

    @property
    def percent(self) -> float:
        return next((one.percent for one in self.shares.values()), 0.0)

    @property
    def fallback(self) -> int:
        """How many requests in an hour the cloud may answer in the fleet's place; 0: there is no fallback."""
        return max((one.fallback for one in self.shares.values()), default=0)

    @property
    def rolled_back(self) -> bool:
        return not self.shares and self.record is not None and self.record.back


@dataclass(frozen=True)
class Said:
    now: int
    shares: Mapping[str, Share]
    held: Mapping[str, Share]
    record: CutoverRecord | None
    panic: bool
    dealt: Mapping[str, Mapping[str, Dealt]]
    """Gateway → change → counts."""


def parse_cutover(said: str) -> Said:
    """Parse what a gateway says of a cutover. Raise ValueError if it isn't that."""
    parts = {head.split(" ")[0]: (head, body) for head, _, body in _sections(said)}
    now = re.fullmatch(r"now ([0-9]{1,12})", parts["now"][0])
    if not now:
        raise ValueError("it says no time")
    record = CutoverRecord.model_validate_json(parts["record"][1].strip()) if "record" in parts else None
    return Said(
        int(now[1]),
        _shares(parts["file"][1]),
        _shares(parts["worker"][1]),
        record,
        "panic" in parts,
        _dealt(parts["dealt"][1]),
    )


def _sections(said: str) -> list[tuple[str, str, str]]:
    return [part.partition("\n") for part in f"\n{said}".split("\n== ")[1:]]


def _shares(text: str) -> dict[str, Share]:
    found: dict[str, Share] = {}
    for line in text.splitlines():
        part = _LINE.fullmatch(line)
        if not part:
            raise ValueError("not a share")
        percent, most = int(part["parts"]) / _PER_PERCENT, int(part["fallback"] or 0)
        found[part["name"]] = Share(
            percent, part["change"], int(part["opens"]), int(part["ends"]), part["model"], most
        )
    return found


def _dealt(text: str) -> dict[str, dict[str, Dealt]]:
    found: dict[str, dict[str, Dealt]] = {}
    of: dict[str, Dealt] = {}
    for line in text.splitlines():
        if table := _TABLE.match(line):
            of = found.setdefault(table["gateway"], {})
        elif one := _DEALT.fullmatch(line):
            before = of.get(one["change"], Dealt(0, 0))
            of[one["change"]] = Dealt(before.fleet + int(one["fleet"]), before.cloud + int(one["cloud"]))
    return found
