"""Which share of new conversations running gateways give to the fleet's replicas; the cloud gets the others.

A share outlasts a reload and a restart of HAProxy and of the host, because it is in a file, and has no end. Each
change of a share names the change that it follows, so one that arrives late never undoes a rollback.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import TypeVar

from rackwright.errors import HostError
from rackwright.gateway.api import Gateways
from rackwright.gateway.canaries import parts_of
from rackwright.gateway.cutover_scripts import GIVE, LOOK, PLACES, ROLL_BACK
from rackwright.gateway.cutover_states import CutoverRecord, GatewayCutover, Said, parse_cutover
from rackwright.roles.cutover.configuration import FUNCTIONS
from rackwright.roles.cutover.settings import PANIC, RECORDS, SERVICE

Read = TypeVar("Read")


@dataclass(frozen=True)
class Wanted:
    """A share that gateways should give."""

    percent: float
    models: Mapping[str, str]
    """Served name → the fleet's model."""
    change: str
    """Names this change. A gateway that has it already is left as it is."""
    window: int
    """Seconds for which a conversation without a request may go on."""
    fallback: Mapping[str, int] = field(default_factory=dict)
    """Served name → how many requests of the migration in an hour the cloud may answer in the fleet's place."""

    @property
    def lines(self) -> str:
        """Served name, and the end of its line in the map, for each model."""
        return "\n".join(f"{name} {model}{self._most(name)}" for name, model in sorted(self.models.items()))

    def _most(self, name: str) -> str:
        most = self.fallback.get(name, 0)
        return f"|{most}" if most else ""


@dataclass(frozen=True)
class Cutovers:
    """A migration's cutover at these gateways. Each method returns an error for each gateway that failed."""

    gateways: Gateways
    migration: str
    records: str = RECORDS
    panic: str = PANIC

    def look(self) -> dict[str, HostError | GatewayCutover]:
        """Return what each gateway does."""
        found = self._each(LOOK, "asking for the cutover", parse_cutover)
        return {host: one if isinstance(one, HostError) else _own(host, one) for host, one in found.items()}

    def give(self, wanted: Wanted, record: CutoverRecord, after: Mapping[str, str]) -> dict[str, HostError | int]:
        """Give the fleet this share of new conversations, at every worker; return when, by each gateway's clock.

        `after`: gateway → the change that this one follows ("": it has no share). A gateway with another one, with a
        panic file, or with a canary of one of the models is left as it is.
        """
        values = {
            "parts": parts_of(wanted.percent),
            "all": parts_of(100),
            "window": int(wanted.window),
            "falls": max(wanted.fallback.values(), default=0),
        }
        words = {"change": wanted.change, "names": wanted.lines, "service": SERVICE, **_split(record)}
        script = "".join(f"{name}={value}\n" for name, value in values.items())
        script += "".join(f"{name}={quote(value)}\n" for name, value in words.items())
        return self._each(script + GIVE, "changing the share", _seconds, after)

    def roll_back(self, record: CutoverRecord) -> dict[str, HostError | None]:
        """Send all requests to the cloud, whatever the gateways do now; answers that run go on where they are."""
        script = "".join(f"{name}={quote(value)}\n" for name, value in _split(record).items())
        return self._each(script + ROLL_BACK, "rolling back", _nothing)

    def _each(
        self, script: str, what: str, parse: Callable[[str], Read], words: Mapping[str, str] | None = None
    ) -> dict[str, HostError | Read]:
        places = {"records": self.records, "panic": self.panic, "migration": self.migration}
        head = PLACES.format(**{name: quote(value) for name, value in places.items()})
        functions = FUNCTIONS.read_text(encoding="utf-8")
        return self.gateways.each(head + functions + script, what, parse, words)


def _split(record: CutoverRecord) -> dict[str, str]:
    """Return the record before and after its time, which the gateway's clock says."""
    before, _, after = record.model_copy(update={"time": 0}).model_dump_json().rpartition('"time":0')
    return {"before": before + '"time":', "after": after}


def _seconds(said: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}\n", said):
        raise ValueError("not a time")
    return int(said)


def _nothing(_: str) -> None:
    return None


def _own(host: str, found: Said) -> GatewayCutover:
    """Return what the gateway does, with its own counts: it also has copies of the others'."""
    return GatewayCutover(found.now, found.shares, found.held, found.record, found.panic, found.dealt.get(host, {}))
