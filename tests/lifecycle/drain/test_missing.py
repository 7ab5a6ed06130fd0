"""A gateway that lacks a manual drain gets it from the others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from rackwright.errors import HostError
from rackwright.gateway import DrainRecord
from rackwright.lifecycle.drain.missing import copy_drains, missing_drains
from tests.fleet.fleets import make_fleet

HOSTS = {f"gate{number}": {"address": f"10.0.0.{number}"} for number in (1, 2, 3)} | {"gpu1": {"address": "10.0.0.9"}}
NAMES = ("gate1", "gate2", "gate3")
FLEET = make_fleet(Path("site.yml"), hosts=HOSTS, gateway={"on": NAMES, "domain": "llm.acme.internal"})
TIME = datetime(2026, 11, 25, tzinfo=UTC)
HAND = DrainRecord(who="ada", reason="fan", manual=True, time=TIME)
RUN = DrainRecord(who="ben", reason="apply", manual=False, time=TIME)
ADDRESS = "gpu1/assistant@1"


def missing(**drains: Mapping[str, DrainRecord]) -> list[tuple[str, str, str]]:
    hosts = {name: SimpleNamespace(drains=known) for name, known in drains.items()}
    session, surveyed = SimpleNamespace(fleet=FLEET), SimpleNamespace(hosts=hosts)
    return [(drain.gateway, drain.replica.address, drain.record.who) for drain in missing_drains(session, surveyed)]


def test_every_gateway_that_answered_and_lacks_a_manual_drain_gets_it() -> None:
    assert missing(gate1={}, gate2={ADDRESS: HAND}) == [("gate1", ADDRESS, "ada")]
    assert missing(gate1={ADDRESS: HAND}, gate2={ADDRESS: HAND}, gate3={}) == [("gate3", ADDRESS, "ada")]


def test_a_drain_by_a_run_is_not_copied_and_does_not_count_as_a_manual_one() -> None:
    assert missing(gate1={ADDRESS: RUN}, gate2={}) == []
    assert missing(gate1={ADDRESS: RUN}, gate2={ADDRESS: HAND}) == [("gate1", ADDRESS, "ada")]


def test_a_drain_of_what_the_fleet_no_longer_has_is_left() -> None:
    assert missing(gate1={"gpu9/assistant@1": HAND}, gate2={}) == []


def test_a_gateway_that_cannot_be_told_is_named_and_stops_no_other() -> None:
    told = []

    class Gateway(SimpleNamespace):
        def copy_drain(self, address: str, port: int, record: DrainRecord) -> None:
            if self.host == "gate1":
                raise HostError("disk full", where=self.host)
            told.append((self.host, address, port, record))

    surveyed = SimpleNamespace(hosts={n: SimpleNamespace(drains={}) for n in NAMES[:2]})
    surveyed.hosts["gate3"] = SimpleNamespace(drains={ADDRESS: HAND})
    lock = SimpleNamespace(ports={"gpu1": {"assistant@1": 8104}})
    gateways = SimpleNamespace(only=lambda hosts: Gateway(host=hosts[0]))
    session = SimpleNamespace(fleet=FLEET, lock=lock, gateways=gateways)
    assert copy_drains(session, tuple(missing_drains(session, surveyed))) == {"gate1": "disk full"}
    assert told == [("gate2", ADDRESS, 8104, HAND)]
