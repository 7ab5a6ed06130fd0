"""`migrate replay` and `migrate assess` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.migrate.desk_ends import DeskEnds
from tests.lifecycle.migrate.ends import request
from tests.stand_in_cloud import KEY, Fault


@pytest.fixture(autouse=True)
def without_gevent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("replay", "assess"):
        monkeypatch.setattr(f"rackwright.cli.migrate.{name}.hosts_needed", lambda: None)


def ran(made: DeskEnds, *words: str) -> Ran:
    return rackwright("-f", made.desk.path, "migrate", *words)


def test_a_replay(made: DeskEnds) -> None:
    made.record(*(request(number) for number in range(3)))
    made.ends.fleet.faults.append(Fault("status", status=400))
    done = ran(made, "replay", "support", "--yes")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "3 of 3 recorded requests"
    assert [line.split()[:3] for line in lines[2:5]] == [
        ["the", "cloud", "3"],
        ["the", "cloud", "again"],
        ["the", "fleet", "2"],
    ]
    assert "1 HTTP 400" in lines[4]
    assert lines[-2:] == ["spent: 0.00 of 50.00 EUR", "next: rackwright migrate assess support"]
    assert "budget: 0.00 of 50.00 EUR are spent" in done.stderr
    document = ran(made, "replay", "support", "--json", "--yes").document
    assert document["done"] is True
    assert document["asks"]["fleet"]["errors"] == {"HTTP 400": 1}
    report = ran(made, "report", "support")
    assert "| the cloud again | 3 | 0 |" in report.stdout


def test_a_replay_that_stops_shows_what_it_did_and_fails(made: DeskEnds) -> None:
    made.record(request(1))
    made.ends.cloud.faults.append(Fault("redirect", times=-1, location="https://127.0.0.1:1/"))
    done = ran(made, "replay", "support", "--yes")
    assert done.exit_code == 1
    assert "the replay stopped: the cloud redirects, which isn't followed" in done.stderr
    next_ = "check clouds.openai.url, then rackwright check, then rackwright migrate replay support"
    assert f"next: {next_}" in done.stderr
    assert "1 of 1 recorded requests" in done.stdout


def test_without_yes_nothing_is_asked(made: DeskEnds) -> None:
    made.record(request(1))
    done = ran(made, "replay", "support", "--json")
    assert done.exit_code == 2
    assert not made.ends.cloud.received


def test_an_assessment(made: DeskEnds) -> None:
    made.record(request(1, store=True), request(2))
    made.ends.cloud.models["gpt-4o-mini"] = {"shutdown_date": "2027-01-15"}
    made.ends.cloud.objects["/v1/files"] = [{"id": "file-1", "bytes": 2_500_000, "created_at": 1_700_000_000}]
    done = ran(made, "assess", "support")
    assert done.exit_code == 12, done.stderr
    assert "gpt-4o-mini → assistant (llama_cpp, 2048 tokens)" in done.stdout
    assert "blocks: gpt-4o-mini → assistant: store is ignored" in done.stdout
    assert "gpt-4o-mini: shut down on 2027-01-15." in done.stdout
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("files"))
    assert row == ["files", "1", "2.5", "MB", "2023-11-14"]
    assert "usage and costs: refused for this key; they need an admin key" in done.stdout
    assert KEY not in done.stdout + done.stderr
    document = ran(made, "assess", "support", "--json").document
    assert document["blocking"] == ["gpt-4o-mini → assistant: store is ignored"]
    report = ran(made, "report", "support")
    assert report.exit_code == 12
    assert "| store | 1 | ignored, blocks |" in report.stdout


def test_an_assessment_shows_in_which_hours_clients_ask(made: DeskEnds, tmp_path: Path) -> None:
    hours = {1: 9, 2: 9, 3: 23, 4: 9 + 24}
    made.record(*(request(number).model_copy(update={"arrived": hour * 3600.0}) for number, hour in hours.items()))
    assert "busiest hour: 2 requests from 1970-01-01T09:00 UTC" in ran(made, "assess", "support").stdout
    page = tmp_path / "report.html"
    ran(made, "report", "support", "--html", str(page))
    assert "requests recorded (on all days) by hour of the day, UTC: 0 h: 0; " in page.read_text()
    assert "8 h: 0; 9 h: 3; 10 h: 0;" in page.read_text()


def test_an_assessment_offline(made: DeskEnds) -> None:
    made.record(request(1))
    done = ran(made, "assess", "support", "--offline")
    assert "The fleet was not asked" in done.stdout
    assert done.stdout.splitlines()[-1] == "next: rackwright migrate assess support"
    assert not made.ends.cloud.received
    assert not made.ends.fleet.received
    made.desk.edit("currency", "waivers: {endpoint.chat: x}\ncurrency")
    assert ran(made, "assess", "support", "--offline").exit_code == 0


def test_an_assessment_offline_says_what_the_fleet_lacks(made: DeskEnds) -> None:
    made.record(request(1))
    made.desk.edit("{gpt-4o-mini: assistant}", "{gpt-4o-mini: chat}")
    done = ran(made, "assess", "support", "--offline")
    assert done.stdout.splitlines()[-1] == (
        f"next: give chat a source, a runtime, a place and a context in {made.desk.path}, then rackwright apply, "
        "then rackwright migrate assess support"
    )
    assert "--offline" not in done.stdout.splitlines()[-1]


def test_the_map_is_shown_as_text_as_json_and_in_the_report(made: DeskEnds) -> None:
    made.record(request(1, store=True), request(2, n=2))
    made.ends.fleet.faults.append(Fault("status", status=400, times=-1))
    text = ran(made, "assess", "support").stdout
    row = next(line for line in text.splitlines() if line.startswith("n ") and "ask n times" in line)
    assert row.split() == ["n", "1", "rewritten", "ask", "n", "times", "rewritten"]
    assert text.splitlines()[-1].startswith("next: add waivers for endpoint.chat, ")
    mapped = ran(made, "assess", "support", "--json").document["moved"][0]["mapped"]
    assert {one["feature"]: one["replay"] for one in mapped["changes"]}["n"] == "rewritten"
    report = ran(made, "report", "support", "--html", str(made.desk.folder / "report.html")).stdout
    assert "## Map: gpt-4o-mini → assistant" in report
    assert "| n | 1 | rewritten | ask n times | rewritten |" in report
    assert "Map: gpt-4o-mini" in (made.desk.folder / "report.html").read_text()


def test_a_replay_that_is_not_complete_is_a_doubt_and_so_is_the_table_of_results(made: DeskEnds) -> None:
    made.record(request(1))
    made.ends.cloud.faults.append(Fault("redirect", times=-1, location="https://127.0.0.1:1/"))
    ran(made, "replay", "support", "--yes")
    report = ran(made, "report", "support")
    assert "- the replay isn't complete: the cloud redirects, which isn't followed" in report.stdout
    assert "| replay | " in report.stdout
    document = ran(made, "report", "support", "--json").document
    assert document["parts"]["results"]["replay"]["up_to_date"] is False
    assert document["parts"]["results"]["score"] is None
