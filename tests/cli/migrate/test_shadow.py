"""`migrate shadow`: what it prints, and its exit codes."""

from __future__ import annotations

import pytest

from rackwright.lifecycle.migrate import capture
from rackwright.lifecycle.migrate.shadow import round, shadow_folder
from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.migrate.desk_ends import DeskEnds
from tests.lifecycle.migrate.ends import request
from tests.lifecycle.migrate.stand_in_captures import StandInCaptures, StandInGateway
from tests.stand_in_cloud import Fault


@pytest.fixture
def gateway(made: DeskEnds, monkeypatch: pytest.MonkeyPatch) -> StandInGateway:
    found = StandInGateway()
    for module in (capture, shadow_folder):
        monkeypatch.setattr(module, "captures_of", lambda *_: StandInCaptures({"gate1": found}))
    monkeypatch.setattr(round, "require_client_here", lambda _: None)
    monkeypatch.setattr("rackwright.cli.migrate.shadow.hosts_needed", lambda: None)
    made.desk.edit("currency: EUR", "score: {least: 20, margin: 20}\ncurrency: EUR")
    found.record(*(request(number).model_dump_json() for number in range(25)))
    return found


def ran(made: DeskEnds, *words: object) -> Ran:
    return rackwright("-f", made.desk.path, "migrate", "shadow", "support", *words)


def test_a_round_asks_first_and_shows_the_score(made: DeskEnds, gateway: StandInGateway) -> None:
    refused = ran(made)
    assert refused.exit_code == 2
    assert "up to 300 of them are asked again, of openai twice and of the fleet once" in refused.stderr
    assert not made.ends.cloud.received
    passed = ran(made, "--yes")
    assert passed.exit_code == 0, passed.stderr
    assert passed.stdout.splitlines()[:4] == [
        "25 of 25 recorded requests asked",
        "not recorded: 1 (full)",
        "",
        "PASS: all 6 segments that decide are within the margin",
    ]


def test_exit_code_12_unless_it_passes(made: DeskEnds, gateway: StandInGateway) -> None:
    made.ends.fleet.faults.append(Fault("status", status=400, times=-1))
    failed = ran(made, "--yes", "--json")
    assert failed.exit_code == 12, failed.stderr
    assert failed.document["shadow"]["format"] == "migration-shadow/1"
    assert failed.document["shadow"]["scored"]["word"] == "FAIL"
