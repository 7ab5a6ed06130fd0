"""The states of servers: parse each gateway's answers, and merge those of all gateways. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from rackwright.gateway.canaries import CanaryShare, parse_canaries
from rackwright.values.base import Stored

_DRAINED, _RUNNING = 8, 2
"""srv_admin_state's bit FDRAIN, srv_op_state's SRV_ST_RUNNING (management guide, `show servers state`)."""


class DrainRecord(Stored):
    """Why a replica is drained. It is stored on the gateway, because a drain outlasts reloads and reboots."""

    format: str = "drain/1"
    who: str
    reason: str
    manual: bool
    """Whether an operator drained it; then only an operator undrains it."""
    time: datetime


@dataclass(frozen=True)
class ServerState:
    """One replica, over all gateways."""

    host: str
    replica: str
    """MODEL@N."""
    drained: bool
    """At one or more gateways."""
    up: bool
    """At every gateway."""
    in_flight: int
    """Requests, over all gateways and all their workers."""
    record: DrainRecord | None
    canary: CanaryShare | None = None
    """Its share as a canary while it is drained; the largest share at any gateway."""
    port: int = 0
    """Where the gateways reach it on its host."""

    @property
    def address(self) -> str:
        return f"{self.host}/{self.replica}"

    @property
    def model(self) -> str:
        return self.replica.partition("@")[0]

    @property
    def takes_requests(self) -> bool:
        """Whether every gateway sends it requests."""
        return self.up and not self.drained

    @property
    def drained_manually(self) -> bool:
        """Whether an operator drained it: with a record that says so, or directly at the socket, without a record."""
        return self.drained and (self.record is None or self.record.manual)


def parse_states(text: str) -> dict[str, ServerState]:
    """Given the output of STATES and SHOW_DRAINS, return one gateway's servers by HOST/MODEL@N."""
    busy: dict[str, int] = {}
    records: dict[str, DrainRecord] = {}
    canaries: dict[str, CanaryShare] = {}
    rows: list[list[str]] = []
    for title, body in _sections(text):
        if title == "servers":
            rows = [line.split() for line in body.splitlines() if " model." in line]
        elif title == "stat":
            for row in _statistics(body):
                busy[row["svname"]] = busy.get(row["svname"], 0) + parse_count(row["scur"])
        elif title == "canaries":
            canaries = dict(parse_canaries(body))
        elif record := _record(body):
            records[title.removeprefix("drain ")] = record
    states = (_state(row, busy.get(row[3], 0), records.get(row[3]), canaries.get(row[3])) for row in rows)
    return {state.address: state for state in states}


def parse_queued(text: str) -> dict[str, int]:
    """Given the output of SHOW_STAT, return how many requests wait for a slot in one gateway's workers, by model."""
    queued: dict[str, int] = {}
    for title, body in _sections(text):
        for row in _statistics(body) if title == "stat" else ():
            backend, _, model = row["pxname"].partition(".")
            if backend == "model":
                # A backend counts what any of its servers may answer, and a server what only it may.
                queued[model] = queued.get(model, 0) + parse_count(row["qcur"])
    return queued


def _statistics(body: str) -> Iterator[dict[str, str]]:
    """Yield the rows of HAProxy's `show stat`."""
    import csv

    yield from csv.DictReader(body.removeprefix("# ").splitlines())


def merged(gateways: Mapping[str, Mapping[str, ServerState]]) -> dict[str, ServerState]:
    """Merge the servers of all gateways: up if every gateway says so, drained if any does."""
    states: dict[str, ServerState] = {}
    for address in sorted({address for servers in gateways.values() for address in servers}):
        seen = [servers[address] for servers in gateways.values() if address in servers]
        states[address] = ServerState(
            host=seen[0].host,
            replica=seen[0].replica,
            drained=any(state.drained for state in seen),
            up=len(seen) == len(gateways) and all(state.up for state in seen),
            in_flight=sum(state.in_flight for state in seen),
            # A record of a manual drain has priority.
            record=min(
                (state.record for state in seen if state.record), key=lambda record: not record.manual, default=None
            ),
            canary=max((state.canary for state in seen if state.canary), key=lambda one: one.percent, default=None),
            port=seen[0].port,
        )
    return states


def _sections(text: str) -> Iterator[tuple[str, str]]:
    for section in f"\n{text}".split("\n== ")[1:]:
        title, _, body = section.partition("\n")
        yield title, body


def parse_drains(text: str) -> dict[str, DrainRecord]:
    """Given the output of DRAINS_COMMAND on a gateway, return its drains by HOST/MODEL@N."""
    found = {title.removeprefix("drain "): _record(body) for title, body in _sections(text)}
    return {_address(server): record for server, record in found.items() if record}


def parse_downtimes(text: str) -> dict[str, datetime]:
    """Given the output of SHOW_DOWNTIMES, return the end of each model's downtime."""
    rows = (line.split() for line in text.splitlines())
    return {model: datetime.fromtimestamp(int(seconds), UTC) for model, seconds in rows}


def parse_dropped(text: str) -> int:
    """Given the output of SHOW_DROPPED, return the log lines that all workers of a gateway have dropped."""
    return sum(parse_count(line) for line in text.splitlines())


def _address(server: str) -> str:
    host, model, number, _ = server.split(".")
    return f"{host}/{model}@{number}"


def parse_count(text: str) -> int:
    """Return the number. Raise ValueError if it isn't one that a program counts."""
    text = text.strip()
    if not re.fullmatch("[0-9]{1,10}", text):
        raise ValueError(f"not a count: {text}")
    return int(text)


def _record(body: str) -> DrainRecord | None:
    try:
        return DrainRecord.model_validate_json(body)
    except ValidationError:
        return None


def _state(row: list[str], in_flight: int, record: DrainRecord | None, canary: CanaryShare | None) -> ServerState:
    host, model, number, port = row[3].split(".")
    operational, admin = int(row[5]), int(row[6])
    up = operational == _RUNNING and not admin & ~_DRAINED
    replica, drained = f"{model}@{number}", bool(admin & _DRAINED)
    return ServerState(host, replica, drained, up, in_flight, record, canary, parse_count(port))
