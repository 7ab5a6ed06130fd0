"""What an operator sees of requests that fell back to the cloud, and how the fallback alone is changed."""

from __future__ import annotations

import pytest

from rackwright.errors import HostError
from rackwright.gateway import Gateways
from rackwright.gateway.fallback_counts import Counted, GatewayFallbacks
from rackwright.migrate.cutover.state import CutoverState
from tests.cli.command_line import rackwright
from tests.lifecycle.migrate.desks import Desk

COUNTS = {(name, "gate1", 9): Counted(3, 2) for name in ("support", "other")}
FELL = GatewayFallbacks(9, {"support": 4, "other": 4}, COUNTS)
ALARM = (
    "fallback of support: the cloud got requests that no replica took: 2 in this hour, 0 in the hour before; "
    "at most 4 an hour; refused past that: 1"
)


@pytest.fixture
def moved(desk: Desk) -> Desk:
    desk.open().note("cutover", "5 %", CutoverState(phase="passed", share=5, change="c1"))
    return desk


@pytest.mark.parametrize("name", [["support"], []])
def test_migrate_status_has_an_alarm_while_requests_fall_back(
    moved: Desk, name: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gateways, "fallbacks", lambda _: {"gate1": FELL})
    ran = rackwright("-f", moved.path, "migrate", "status", *name)
    assert (ran.exit_code, ran.stdout.splitlines()[-1]) == (12, ALARM)
    document = rackwright("-f", moved.path, "migrate", "status", *name, "--json").document
    assert document["alarms"] == [ALARM]


def test_gateways_that_can_t_be_asked_are_an_alarm_too(moved: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_: Gateways) -> None:
        raise HostError("HAProxy doesn't answer", where="gate1")

    monkeypatch.setattr(Gateways, "fallbacks", silent)
    ran = rackwright("-f", moved.path, "migrate", "status", "support")
    assert ran.exit_code == 12
    assert ran.stdout.splitlines()[-1] == "the gateways can't be asked for fallbacks: HAProxy doesn't answer"


def test_without_a_cutover_no_gateway_is_asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Gateways, "fallbacks")
    desk.open().note("import", "nothing")
    ran = rackwright("-f", desk.path, "migrate", "status", "support", "--json")
    assert (ran.exit_code, ran.document["alarms"]) == (0, [])


@pytest.mark.parametrize("more", [[], ["--execute", "--from", "5"]])
def test_the_fallback_alone_is_changed_only_by_carrying_it_out(moved: Desk, more: list[str]) -> None:
    ran = rackwright("-f", moved.path, "migrate", "cutover", "support", "--fallback-only", *more)
    assert ran.exit_code == 2
    assert "--fallback-only goes with --execute, and without --from" in ran.stderr
