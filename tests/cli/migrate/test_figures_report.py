"""Score, capacity and costs in a migration's report: as text, as JSON and on the page with plots."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.lifecycle.migrate.capacity import pool_check
from rackwright.lifecycle.migrate.capacity.procedure import capacity
from rackwright.lifecycle.migrate.cost import cost
from rackwright.lifecycle.migrate.score.procedure import score
from rackwright.migrate.score.join import Answered
from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.test_capacity import Replica, evenly, record
from tests.lifecycle.migrate.test_cost import COSTS
from tests.migrate.score.answers import answer, labels, lines, request


def report(desk: Desk, *words: object) -> Ran:
    return rackwright("-f", desk.path, "migrate", "report", "support", *words)


def scored(desk: Desk, answered: list[Answered]) -> None:
    for kind, text in lines(answered).items():
        desk.open().folder.write(kind, text)
    score(desk.open())


def test_a_score_that_passes_is_good(desk: Desk) -> None:
    scored(desk, labels(80))
    ran = report(desk)
    assert ran.exit_code == 0
    assert "| check label | 80 | 100.0% | 100.0% | +0.0 | -4.6 to +4.6 | PASS |  |" in ran.stdout
    assert "It doesn't say whether a free text is true" in ran.stdout
    document = report(desk, "--json").document
    assert document["parts"]["score"]["word"] == "PASS"


def test_a_score_that_fails_is_a_doubt_and_has_examples_that_are_escaped(desk: Desk, tmp_path: Path) -> None:
    texts = ("<b>yes</b>", "<b>yes</b>", "<script>alert(1)</script>")
    ends = ("stop", "stop", "length")
    said = (answer(text, name="evil", finish=end) for text, end in zip(texts, ends, strict=True))
    evil = Answered(request("evil"), *said)
    scored(desk, [*labels(50, again=30), evil])
    page = tmp_path / "report.html"
    ran = report(desk, "--html", page)
    assert ran.exit_code == 12
    assert "score: FAIL: all is too bad" in ran.stdout
    html = page.read_text()
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>" not in html
    assert "interval; the line is the margin of -5" in html
    assert html.count("<polyline") == len(report(desk, "--json").document["parts"]["score"]["segments"])


def test_without_the_private_key_the_examples_are_missing_and_it_is_said(desk: Desk) -> None:
    scored(desk, labels(50, again=30))
    (desk.folder / "identity").unlink()
    ran = report(desk)
    assert ran.exit_code == 12
    assert "The folder can't be read here" in ran.stdout


def test_measured_and_extrapolated_figures_have_sections_of_their_own(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_check, "_placed", lambda *_: None)
    record(desk, *evenly(120, 0.5))
    capacity(desk.open(), desk.say, engine=Replica(most=6))
    page = tmp_path / "report.html"
    ran = report(desk, "--html", page)
    assert ran.exit_code == 12
    assert "## Capacity of assistant, measured" in ran.stdout
    assert "## Capacity of assistant, extrapolated" in ran.stdout
    assert "capacity of assistant: needed replicas: 6, in the fleet file: 1" in ran.stdout
    html = page.read_text()
    assert "assistant: requests answered (per second) by requests sent per second" in html
    assert "the highest rate that was good" in html


def test_costs_have_a_table_of_cases_and_a_curve(desk: Desk, tmp_path: Path) -> None:
    desk.edit("currency: EUR", f"{COSTS}currency: EUR")
    usage, page = tmp_path / "usage.csv", tmp_path / "report.html"
    usage.write_text("month,amount\n2026-04,6000\n")
    cost(desk.open(), usage)
    ran = report(desk, "--html", page)
    assert ran.exit_code == 0
    assert "the fleet costs 2,622.25 EUR a month less than the cloud" in ran.stdout
    assert "| -20 % | +20 % | +711.70 | month 28 |" in ran.stdout
    html = page.read_text()
    assert "All that the fleet has cost; dashed: all bills of the cloud (EUR) by month" in html
    assert '<polyline class="earlier"' in html
    assert "the break-even" in html
