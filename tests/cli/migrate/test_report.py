"""`migrate report`: each part as text, as JSON and on one page."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.cli.render.migrate_report import parts
from rackwright.cli.render.migrate_report.shown import Curve, Part, Shown
from rackwright.cli.render.plots import plotted
from rackwright.cli.render.sections import Section
from rackwright.lifecycle.migrate.report_source import Reported
from rackwright.values.base import Stored
from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.migrate.desks import Desk


class Found(Stored):
    format: str = "found/1"
    pairs: int = 0


def score_part(found: Reported) -> Shown | None:
    """As a step's own part."""
    result = found.result("score", Found)
    if result is None:
        return None
    plot = plotted("Points", "points", [(0, 1), (10, 5)])
    assert plot
    return Shown(
        {"pairs": result.pairs},
        (Section("Score", "<b>paired</b>", ("segment", "pairs"), (("all", str(result.pairs)),)),),
        (Curve(plot, "pairs", "pairs"),),
        ("FAIL in segment <all>",) if result.pairs < 40 else (),
    )


def report(desk: Desk, *words: object) -> Ran:
    return rackwright("-f", desk.path, "migrate", "report", "support", *words)


def test_plan_and_log_are_in_it(desk: Desk) -> None:
    desk.edit("currency", "waivers: {logprobs: nobody reads them}\ncurrency")
    desk.open().note("capture", "started | <b>")
    ran = report(desk)
    assert ran.exit_code == 0
    text = ran.stdout
    assert text.startswith("# Migration support of acme\n")
    assert "| intent | The contract with the provider ends in March. |" in text
    assert "| logprobs | nobody reads them |" in text
    assert "| price of gpt-4o-mini | 0.15 in, 0.6 out, EUR per million tokens |" in text
    assert "started \\| " in text
    document = report(desk, "--json").document
    assert document["parts"]["plan"]["models"] == {"gpt-4o-mini": "assistant"}
    assert [entry["step"] for entry in document["parts"]["log"]] == ["init", "capture"]
    assert (document["good"], document["doubts"], document["stale"]) == (True, [], [])


def test_an_acts_part_is_in_text_json_and_page(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = tuple(part for part in parts.PARTS if part.name != "score")
    monkeypatch.setattr(parts, "PARTS", (*others, Part("score", score_part)))
    assert "score" not in report(desk, "--json").document["parts"]
    desk.open().note("score", "12 pairs", Found(pairs=12))
    page = tmp_path / "report.html"
    ran = report(desk, "--html", page)
    assert ran.exit_code == 12
    assert "- FAIL in segment &lt;all>" in ran.stdout or "- FAIL in segment" in ran.stdout
    assert "| all | 12 |" in ran.stdout
    assert f"written to {page}" in ran.stderr
    html = page.read_text()
    assert "<td>12</td>" in html
    assert "&lt;b&gt;paired" in html
    assert "<b>paired" not in html
    assert '<h1 class="conclusion failed">Migration support of acme</h1>' in html
    assert 'aria-label="Points (points) by pairs: 0 pairs: 1; 10 pairs: 5"' in html
    assert "http" not in html.replace("http://www.w3.org", "")
    document = report(desk, "--json").document
    assert document["parts"]["score"] == {"pairs": 12}
    assert document["good"] is False
    desk.open().note("score", "40 pairs", Found(pairs=40))
    assert report(desk).exit_code == 0


def test_what_no_longer_holds_comes_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PARTS", (Part("score", score_part),))
    desk.open().note("score", "40 pairs", Found(pairs=40))
    desk.edit("currency", "score: {margin: 3}\ncurrency")
    ran = report(desk)
    assert "- score is stale: score.margin changed in the plan" in ran.stdout
    document = report(desk, "--json").document
    assert (document["stale"], document["good"], ran.exit_code) == (["score"], False, 12)


def test_a_plan_that_was_edited_until_it_passed_shows(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these makes a PASS more likely, and the log alone would hide that in digests."""
    monkeypatch.setattr(parts, "PARTS", (Part("score", score_part),))
    desk.open().note("score", "FAIL, 40 pairs", Found(pairs=39))
    desk.edit("currency", "score: {margin: 20}\ncurrency")
    desk.open().note("score", "INCONCLUSIVE, 40 pairs", Found(pairs=39))
    desk.edit("margin: 20", "margin: 20, least: 20")
    for _ in range(2):
        desk.open().note("score", "PASS, 40 pairs", Found(pairs=40))
    ran = report(desk, "--html", tmp_path / "page.html")
    assert ran.exit_code == 0
    first, second = (line for line in ran.stdout.splitlines() if "with other values of" in line)
    assert first.startswith("- score: with other values of score.least, entry 3 of 20")
    assert first.endswith(" UTC said: INCONCLUSIVE, 40 pairs")
    assert second.startswith("- score: with other values of score.least and score.margin, entry 2 of 20")
    assert "with other values of score.least" in (tmp_path / "page.html").read_text()
    status = rackwright("-f", desk.path, "migrate", "status", "support")
    assert "edited: score: with other values of score.least, entry 3 of 20" in status.stdout
    document = rackwright("-f", desk.path, "migrate", "status", "support", "--json").document["migration"]
    assert document["edits"][0] == {"step": "score", "entry": 5, "before": 3, "keys": ["score.least"]}


def test_a_page_without_a_score_is_no_good_news(desk: Desk, tmp_path: Path) -> None:
    report(desk, "--html", tmp_path / "page.html")
    assert '<h1 class="conclusion failed">' in (tmp_path / "page.html").read_text()


def test_a_result_that_was_changed_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PARTS", (Part("score", score_part),))
    desk.open().note("score", "12 pairs", Found(pairs=12))
    (path,) = (path for path in desk.store.dump().documents if "/support.score/" in path)
    desk.store.put(path, Found(pairs=400).model_dump_json())
    ran = report(desk)
    assert ran.exit_code == 1
    assert "the result of entry 2 was changed" in ran.stderr


def test_a_machine_with_the_log_alone_says_where_the_plan_is(desk: Desk) -> None:
    desk.open().note("capture", "started")
    desk.plan.unlink()
    ran = report(desk)
    assert ran.exit_code == 2
    assert "next: rackwright migrate status support" in ran.stderr
