# ruff: noqa: E501  (an exact message is written on one line)
"""Each gate, with the exact text for an operator."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.fleet.fleet import Replica
from rackwright.gateway import DrainRecord
from rackwright.lifecycle.patch.alerts import Alert, Alerts
from rackwright.lifecycle.patch.gate_state import GateState, problems
from rackwright.lifecycle.patch.gates import gates
from rackwright.operations.facts.clock import Synchronized
from tests.lifecycle.patch.seen import (
    BACKUP,
    HOUR,
    NOW,
    backups,
    clock,
    gate_of,
    replica,
    seen,
    survey,
    surveyed,
    two_hosts,
)

SUNDAY = "sun 02:00-05:00"
AFTER = "next: run it again from Sun 2026-12-06 02:00 CET on"
LONGER = "next: make a window longer: patch.window in the fleet file"
SILENCE = "next: solve what fires, silence it in Alertmanager, or add its name to patch.prometheus.ignore"
QUIET = "only silenced alerts, and those of the host under change, may fire"
CLOCK = "should be synchronized, and at most 5 min from the controller's"
SYNC = "next: set up time synchronization (baseline.time_sync) on both"
RATE, FAN = Alert({"alertname": "ErrorRate"}), Alert({"alertname": "FanFailed", "instance": "gpu2:9100"})
RECORD = DrainRecord(who="ada", reason="patch gpu2", manual=False, time=NOW)
STATUS = "next: rackwright status"


def at(text: str) -> datetime:
    """Return a time in Berlin's winter."""
    return (datetime.fromisoformat(text) - timedelta(hours=1)).replace(tzinfo=UTC)


def fires(*alerts: Alert, **more: Any) -> dict[str, Any]:
    return {"alerts": Alerts(alerts, **more)}


def on(**ages: int | None) -> dict[str, Any]:
    return {"survey": survey(gpu1=surveyed(replica(), backup=backups(**ages)))}


def clocks(found: Any) -> dict[str, Any]:
    return {"clocks": {"gpu1": found}}


def drained(*gateways: str, **more: Any) -> dict[str, Any]:
    record = RECORD.model_copy(update=more)
    return {
        "survey": survey(
            **{name: surveyed(drains={"gpu2/assistant@1": record}) for name in gateways},
            gpu2=surveyed(replica("stopped")),
        )
    }


def hosts(*others: Any, **more: Any) -> dict[str, Any]:
    return {"survey": survey(*others, **more)}


CLOSED: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    # gate, the section patch, what is seen, the call's arguments, the text
    ("window", {"window": SUNDAY}, {"now": at("2026-11-29T05:00")}, {}, f"closed gpu1: gate window: it is Sun 2026-11-29 05:00 CET, outside sun 02:00-05:00\n  {AFTER}"),
    ("window", {"window": [SUNDAY, "tue 01:00-02:00"]}, {"now": at("2026-11-29T06:00")}, {}, "closed gpu1: gate window: it is Sun 2026-11-29 06:00 CET, outside sun 02:00-05:00, tue 01:00-02:00\n  next: run it again from Tue 2026-12-01 01:00 CET on"),
    ("window", {"window": SUNDAY}, {"now": at("2026-11-29T04:40:01")}, {}, f"closed gpu1: gate window: it closes at Sun 2026-11-29 05:00 CET, in 19 min 59 s; gpu1 needs 20 min 0 s, the way back included\n  {AFTER}"),
    ("window", {"window": SUNDAY}, {}, {"seconds": 4 * HOUR}, f"closed gpu1: gate window: it closes at Sun 2026-11-29 05:00 CET, in 2 h 30 min; gpu1 needs 4 h 0 min, the way back included; no window is 4 h 0 min long\n  {LONGER}"),
    ("window", {"window": SUNDAY, "except": ["2026-11-30/2026-12-12"]}, {"now": at("2026-11-29T06:00")}, {}, "closed gpu1: gate window: it is Sun 2026-11-29 06:00 CET, outside sun 02:00-05:00\n  next: run it again from Sun 2026-12-13 02:00 CET on"),
    ("freeze", {"except": ["2026-11-28/2026-11-30"]}, {}, {}, "closed gpu1: gate freeze: patch.except has 2026-11-28/2026-11-30\n  next: run it again from Tue 2026-12-01 00:00 CET on"),
    ("freeze", {"except": ["2026-11-29"], "window": SUNDAY}, {}, {}, f"closed gpu1: gate freeze: patch.except has 2026-11-29\n  {AFTER}"),
    ("freeze", {"except": ["2026-11-30"]}, {"now": at("2026-11-29T23:50")}, {}, "closed gpu1: gate freeze: one begins at Mon 2026-11-30 00:00 CET, in 10 min 0 s; gpu1 needs 20 min 0 s, the way back included\n  next: run it again from Tue 2026-12-01 00:00 CET on"),
    ("freeze", {"except": ["2026-01-01/2100-01-01"]}, {}, {}, "closed gpu1: gate freeze: patch.except has 2026-01-01/2100-01-01; no window opens within 400 days\n  next: make the freeze shorter: patch.except in the fleet file"),
    ("alerts", {}, fires(RATE), {}, f"closed gpu1: gate alerts: 1 alert fires; {QUIET}\n  - ErrorRate\n  {SILENCE}"),
    ("alerts", {}, fires(RATE, FAN), {}, f"closed gpu1: gate alerts: 2 alerts fire; {QUIET}\n  - ErrorRate\n  - FanFailed (gpu2:9100)\n  {SILENCE}"),
    ("alerts", {}, fires(*[RATE] * 10), {}, f"closed gpu1: gate alerts: 10 alerts fire; {QUIET}\n" + "  - ErrorRate\n" * 8 + f"  - and 2 more\n  {SILENCE}"),
    ("alerts", {}, fires(Alert({"alertname": "x\x1b[2J" + "y" * 90, "host": "\n"})), {}, f"closed gpu1: gate alerts: 1 alert fires; {QUIET}\n  - x?[2J{'y' * 74}… (?)\n  {SILENCE}"),
    ("alerts", {}, fires(Alert({})), {}, f"closed gpu1: gate alerts: 1 alert fires; {QUIET}\n  - without a name\n  {SILENCE}"),
    ("alerts", {}, fires(unknown="p:9090 can't be reached", next="check that it runs"), {}, "unknown gpu1: gate alerts: p:9090 can't be reached; Prometheus must say which alerts fire\n  next: check that it runs"),
    ("alerts", {}, fires(RATE, silences_unknown="a:9093 answers 500", next="check it"), {}, f"unknown gpu1: gate alerts: 1 alert fires, and which are silenced isn't known: a:9093 answers 500; {QUIET}\n  - ErrorRate\n  next: check it"),
    ("backup", {}, on(near=36 * HOUR + 1, far=40 * HOUR), {}, "closed gpu1: gate backup: the newest good snapshot is 36 h old; at most 36 h\n  next: rackwright backup run gpu1"),
    ("backup", {"backup_within": "2h"}, on(near=3 * HOUR), {}, "closed gpu1: gate backup: the newest good snapshot is 3 h old; at most 2 h\n  next: rackwright backup run gpu1"),
    ("backup", {}, on(near=None), {}, "closed gpu1: gate backup: there is no good snapshot yet; at most 36 h\n  next: rackwright backup run gpu1"),
    ("backup", {}, on(former=HOUR), {}, "closed gpu1: gate backup: there is no good snapshot yet; at most 36 h\n  next: rackwright backup run gpu1"),
    ("backup", {}, on(near=-HOUR - 1), {}, "closed gpu1: gate backup: its newest snapshot is dated in the future; at most 36 h\n  next: rackwright backup run gpu1"),
    ("backup", {}, hosts({"gpu1": "no route"}, gpu1=None), {}, "unknown gpu1: gate backup: gpu1 can't be asked: no route; at most 36 h\n  next: rackwright status -l gpu1"),
    ("backup", {}, hosts(gpu1=None), {}, "unknown gpu1: gate backup: gpu1 wasn't asked; at most 36 h\n  next: rackwright status -l gpu1"),
    ("clock", {}, clocks(clock(301)), {}, f"closed gpu1: gate clock: it is 5 min 1 s ahead of the controller's; {CLOCK}\n  {SYNC}"),
    ("clock", {}, clocks(clock(-7200, Synchronized.NO)), {}, f"closed gpu1: gate clock: it is 2 h 0 min behind the controller's; it isn't synchronized; {CLOCK}\n  {SYNC}"),
    ("clock", {}, clocks(clock(301, Synchronized.CONTAINER)), {}, f"closed gpu1: gate clock: it is 5 min 1 s ahead of the controller's; {CLOCK}\n  {SYNC}"),
    ("clock", {}, clocks(clock(301, Synchronized.UNKNOWN)), {}, f"closed gpu1: gate clock: it is 5 min 1 s ahead of the controller's; the host doesn't say whether it is synchronized; {CLOCK}\n  {SYNC}"),
    ("clock", {}, clocks(clock(0, Synchronized.UNKNOWN)), {}, f"unknown gpu1: gate clock: the host doesn't say whether it is synchronized; {CLOCK}\n  {SYNC}"),
    ("clock", {}, clocks(HostError("no route", where="gpu1")), {}, f"unknown gpu1: gate clock: the host's clock isn't known: no route; {CLOCK}\n  {STATUS}"),
    ("clock", {}, {"clocks": {}}, {}, f"unknown gpu1: gate clock: the host's clock isn't known: wasn't asked; {CLOCK}\n  {STATUS}"),
    ("others", {}, hosts({"gpu2": "no route"}, gpu2=None), {}, f"closed gpu1: gate others: 1 other host or replica is not well; the others should be well\n  - gpu2 can't be reached: no route\n  {STATUS}"),
    ("others", {}, {}, {"quarantined": {"gpu2": "the kernel hangs"}}, f"closed gpu1: gate others: 1 other host or replica is not well; the others should be well\n  - gpu2 is in quarantine: the kernel hangs\n  {STATUS}"),
    ("others", {}, hosts(gpu2=surveyed(replica("hung", "no progress"))), {}, f"closed gpu1: gate others: 1 other host or replica is not well; the others should be well\n  - gpu2/assistant@1 is hung: no progress\n  {STATUS}"),
    ("others", {}, hosts({"gate1": "no route"}, gate1=None, gpu2=surveyed()), {}, f"closed gpu1: gate others: 2 other hosts or replicas are not well; the others should be well\n  - gate1 can't be reached: no route\n  - gpu2/assistant@1 isn't installed\n  {STATUS}"),
    ("others", {}, drained("gate1"), {}, f"closed gpu1: gate others: 1 other host or replica is not well; the others should be well\n  - gpu2/assistant@1 is drained by an earlier run: patch gpu2\n  {STATUS}"),
    ("others", {}, hosts(gpu2=None), {}, f"unknown gpu1: gate others: not all other hosts are known; the others should be well\n  - gpu2 wasn't asked\n  {STATUS}"),
    ("others", {}, hosts({"gate1": "no route"}, gate1=None, gpu2=None), {}, f"closed gpu1: gate others: 1 other host or replica is not well; the others should be well\n  - gate1 can't be reached: no route\n  - gpu2 wasn't asked\n  {STATUS}"),
]  # fmt: skip

OPEN: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    ("window", {}, {}, {}, "at any time"),
    ("window", {"window": SUNDAY}, {}, {}, "open until Sun 2026-11-29 05:00 CET, in 2 h 30 min"),
    ("window", {"window": SUNDAY}, {"now": at("2026-11-29T04:40")}, {}, "open until Sun 2026-11-29 05:00 CET, in 20 min 0 s"),
    ("freeze", {}, {}, {}, "none"),
    ("freeze", {"except": ["2026-11-30"]}, {}, {}, "none until Mon 2026-11-30 00:00 CET"),
    ("freeze", {"except": ["2026-11-28"]}, {}, {}, "none until Mon 2028-01-03 02:30 CET"),
    ("alerts", {}, {}, {}, "the fleet file names no Prometheus"),
    ("alerts", {}, fires(), {}, "no alert fires"),
    ("alerts", {}, fires(FAN), {"changing": ("gpu2",)}, "1 alert, silenced or about hosts under change"),
    ("alerts", {}, fires(Alert({"alertname": "ErrorRate"}, silenced=True)), {}, "1 alert, silenced or about hosts under change"),
    ("backup", {}, on(near=36 * HOUR), {}, "the newest good snapshot is 36 h old"),
    ("backup", {}, on(near=90 * HOUR, far=60), {}, "the newest good snapshot is 1 min old"),
    ("backup", {}, on(near=-HOUR), {}, "the newest good snapshot is 0 min old"),
    ("backup", {"backup": None}, on(), {}, "the fleet file asks for no snapshots"),
    ("backup", {"backup": {**BACKUP, "snapshots": "no"}}, on(), {}, "the fleet file asks for no snapshots"),
    ("clock", {}, clocks(clock(-300)), {}, "300 s from the controller's"),
    ("clock", {}, clocks(clock(0, Synchronized.CONTAINER)), {}, "0 s from the controller's"),
    ("others", {}, {}, {}, "all others are well"),
    ("others", {}, hosts({"gpu1": "no route"}, gpu1=None), {}, "all others are well"),
    ("others", {}, hosts(gpu2=surveyed(replica("busy"))), {}, "all others are well"),
    ("others", {}, hosts({"gpu2": "no route"}, gpu2=None), {"changing": ("gpu1", "gpu2")}, "all others are well"),
    ("others", {}, drained("gate1", manual=True), {}, "all others are well"),
    ("others", {}, drained("gate1"), {"changing": ("gpu2",)}, "all others are well"),
]  # fmt: skip


def judged(name: str, section: dict[str, Any], sees: dict[str, Any], call: dict[str, Any]) -> Any:
    return gate_of(name, two_hosts(**section), "gpu1", seen(**sees), **call)


@pytest.mark.parametrize(("name", "section", "sees", "call", "text"), CLOSED)
def test_a_gate_that_is_not_open_says_why(
    name: str, section: dict[str, Any], sees: dict[str, Any], call: dict[str, Any], text: str
) -> None:
    gate = judged(name, section, sees, call)
    assert f"{gate.state} {gate.problem('gpu1')}" == text
    assert problems("gpu1", [gate]) == (gate.problem("gpu1"),)


@pytest.mark.parametrize(("name", "section", "sees", "call", "found"), OPEN)
def test_an_open_gate_says_what_it_saw(
    name: str, section: dict[str, Any], sees: dict[str, Any], call: dict[str, Any], found: str
) -> None:
    gate = judged(name, section, sees, call)
    assert (gate.state, gate.found) == (GateState.OPEN, found)
    assert problems("gpu1", [gate]) == ()


@pytest.mark.parametrize(
    ("labels", "own"),
    [
        ({"instance": "gpu1:9100"}, True),
        ({"instance": "gpu1"}, True),
        ({"host": "gpu1"}, True),
        ({"instance": "10.0.0.11:9100"}, True),
        ({"instance": "10.1.0.11"}, True),
        ({"instance": "[fd00::11]:9100"}, True),
        ({"instance": "fd00::11"}, True),
        ({"instance": "gpu2:9100", "host": "gpu1"}, True),
        ({"instance": "gpu11:9100"}, False),
        ({"instance": "gpu1.example.org:9100"}, False),
        ({"instance": "http://gpu1:9100"}, False),
        ({"job": "gpu1"}, False),
        ({"instance": ""}, False),
        ({}, False),
    ],
)
def test_an_alert_is_about_the_host_that_its_labels_name(labels: dict[str, str], own: bool) -> None:
    alerts = Alerts((Alert({"alertname": "Any", **labels}),))
    assert gate_of("alerts", two_hosts(), "gpu1", seen(alerts=alerts)).is_open is own


def test_all_gates_are_asked_although_every_one_is_closed() -> None:
    fleet = two_hosts(window=SUNDAY, **{"except": ["2026-11-28"]})
    sees = seen(
        now=at("2026-11-28T12:00"),
        alerts=Alerts((RATE,)),
        clocks={},
        survey=survey(gpu1=surveyed(backup=backups()), gpu2=surveyed()),
    )
    found = gates(fleet, "gpu1", sees, seconds=60)
    assert [gate.name for gate in found] == ["window", "freeze", "alerts", "backup", "clock", "others"]
    assert len(problems("gpu1", found)) == 6


def test_a_replica_over_the_host_under_change_is_part_of_it() -> None:
    fleet = replace(two_hosts(), replicas=(Replica("assistant", 1, "gpu2", 1, ("gpu2", "gpu1")),))
    found = seen(**hosts(gpu2=surveyed(replica("hung"))))
    assert gate_of("others", fleet, "gpu1", found).is_open
    assert not gate_of("others", fleet, "gate1", found).is_open
