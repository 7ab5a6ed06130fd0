"""`migrate score`, `capacity` and `cost`, from the command line to the exit code."""

from __future__ import annotations

import json
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from rackwright.lifecycle.migrate.capacity import pool_check
from rackwright.lifecycle.migrate.capacity import procedure as capacity
from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.migrate.desk_ends import desk_with_ends
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.ends import running_ends
from tests.lifecycle.migrate.test_capacity import Replica, evenly, record
from tests.lifecycle.migrate.test_cost import COSTS
from tests.migrate.score.answers import labels, lines


@pytest.fixture(autouse=True)
def session(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "rackwright.lifecycle.session.session.open_session", lambda *_, **__: nullcontext(desk.session)
    )


def migrate(desk: Desk, *words: object) -> Ran:
    return rackwright("-f", desk.path, "migrate", *words)


def test_a_score_exits_with_12_unless_it_passes(desk: Desk) -> None:
    assert migrate(desk, "score", "support").exit_code == 1
    for kind, text in lines(labels(80)).items():
        desk.open().folder.write(kind, text)
    good = migrate(desk, "score", "support", "--json")
    assert good.exit_code == 0
    assert good.document["score"]["word"] == "PASS"
    desk.edit("currency: EUR", "score: {least: 100}\ncurrency: EUR")
    few = migrate(desk, "score", "support")
    assert few.exit_code == 12
    assert few.stdout.startswith("INCONCLUSIVE: all is open: 80 pairs, at least 100 are needed")


def test_a_capacity_exits_with_12_if_replicas_are_missing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_check, "_placed", lambda *_: None)
    record(desk, *evenly(120, 0.5))
    replica = Replica(most=6)

    @contextmanager
    def engine(*_: Any) -> Any:
        with replica() as send:
            yield send

    monkeypatch.setattr(capacity.capacity, "__defaults__", (None, engine))
    ran = migrate(desk, "capacity", "support")
    assert ran.exit_code == 12
    assert "measured: replica gpu1/assistant@1, 120 requests of the busiest 60 s" in ran.stdout
    assert (
        "extrapolated: 20 requests/s at the peak, from a sample of 10 percent (busiest windows: 20 in 60 s)"
        in ran.stdout
    )
    assert "5 replicas with 30 percent headroom, and 1 spare: 6 replicas; the fleet file has" in ran.stdout
    document = migrate(desk, "capacity", "support", "--json").document
    assert (document["met"], document["capacity"]["models"][0]["measured"]["goodput"]) == (False, 5.946)


def test_costs_are_shown_with_their_variations(desk: Desk, tmp_path: Path) -> None:
    desk.edit("currency: EUR", f"{COSTS}currency: EUR")
    usage = tmp_path / "usage.csv"
    usage.write_text("month,amount\n2026-04,6000\n")
    ran = migrate(desk, "cost", "support", "--usage", usage)
    assert ran.exit_code == 0
    assert "the cloud's bill  6,087.50" in ran.stdout
    assert "-20 %  +20 %          +711.70        month 28" in ran.stdout
    usage.write_text("month,amount\n2026-04,?\n")
    bad = migrate(desk, "cost", "support", "--usage", usage)
    assert bad.exit_code == 10
    assert f"{usage}:2: has the amount '?'; should be a number" in bad.stderr


def test_a_golden_set_is_answered_by_both_ends(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = {"messages": [{"role": "user", "content": "?"}], "check": {"contains": "nothing says this"}}
    golden = "\n".join(json.dumps({"id": f"p{n}", **prompt}) for n in range(20))
    (desk.folder / "golden.jsonl").write_text(golden)
    desk.edit("currency: EUR", "score: {golden: golden.jsonl}\ncurrency: EUR")
    for kind, text in lines(labels(80)).items():
        desk.open().folder.write(kind, text)
    with running_ends(tmp_path / "unused") as ends:
        desk_with_ends(desk, ends, monkeypatch)
        monkeypatch.setattr("rackwright.cli.migrate.score.hosts_needed", lambda: None)
        refused = migrate(desk, "score", "support")
        assert refused.exit_code == 2
        assert "--yes" in refused.stderr
        assert "golden set: 20 requests to the cloud openai, at most 0.01 EUR" in refused.stderr
        assert not ends.cloud.received
        ran = migrate(desk, "score", "support", "--json", "--yes")
    assert ran.exit_code == 12, ran.stderr
    (found,) = [one for one in ran.document["score"]["segments"] if one["kind"] == "golden"]
    assert (found["of"], found["pairs"], found["fleet"], found["again"]) == ("gpt-4o-mini", 20, 0, 0)
    assert ran.document["score"]["golden_digest"]
