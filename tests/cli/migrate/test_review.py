"""`migrate review`: the table, the page to sign, the exit codes, and what is noted."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rackwright.gateway.whole_ledger import Ledger, Line, Residual, Sums
from rackwright.lifecycle.migrate.cutover.rollback import pause
from rackwright.migrate.shadow_result import Shadowed
from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.review.reviewable import NOW, Reviewable, reviewable, score
from tests.lifecycle.migrate.test_standing import replayed


@pytest.fixture
def made(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reviewable:
    monkeypatch.setattr(
        "rackwright.lifecycle.session.session.open_session", lambda *_, **__: nullcontext(desk.session)
    )
    return reviewable(desk, tmp_path, monkeypatch)


def ran(made: Reviewable, *words: object) -> Ran:
    return rackwright("-f", made.desk.path, "migrate", *words)


def states(done: Ran) -> dict[str, str]:
    findings: list[dict[str, Any]] = done.document["review"]["findings"]
    return {" ".join(filter(None, (one["promise"], one["of"]))): one["state"] for one in findings}


def test_promises_that_are_kept_and_the_page_to_sign(made: Reviewable, tmp_path: Path) -> None:
    made.promise()
    made.cut_over()
    made.serve()
    made.at(NOW - timedelta(hours=1)).open().note("score", "PASS", score(-0.004))
    before, page = made.at(NOW).open().log, tmp_path / "review.html"
    done = ran(made, "review", "support", "--out", page)
    assert (done.exit_code, done.stderr) == (0, f"written to {page}\n")
    lines = done.stdout.splitlines()
    assert lines[0] == "no promise is broken: 9 kept, 0 open, 0 not measured"
    cells = {line.split("  ")[0]: line.split() for line in lines[2:] if "  " in line}
    assert cells["score"][1:] == "+1.0 points -0.4 points -1.4 -5.0 points kept".split()
    assert cells["capacity: assistant"][2:8] == "0.01 requests/s 0.00556 requests/s -0.00444 0.02".split()
    assert cells["cost: saved"][2:] == "90.00 EUR a month 82.85 EUR a month -7.15 0.00 EUR a month kept".split()
    assert "capacity: assistant: the busiest of 156 hours, 20 requests from 2026-11-08T00:00Z on" in lines
    assert next(line for line in lines if line.startswith("the log's last entry")).endswith(f"sha256 {before.last}")
    entry = made.desk.open().entries()[-1]
    assert (entry.step, entry.what) == ("review", "9 kept, 0 broken, 0 open, 0 not measured")
    html = page.read_text()
    assert '<h1 class="conclusion">Review of the migration support of acme</h1>' in html
    assert all(f'<th scope="col">{head}</th>' in html for head in ("name", "role", "date", "signature"))
    assert "<td>-0.4 points</td>" in html
    assert f"<td>sha256 {before.last}</td>" in html
    assert "http" not in html


def test_the_score_of_a_gate_counts_too(made: Reviewable) -> None:
    made.promise()
    made.cut_over()
    made.serve()
    desk = made.at(NOW - timedelta(hours=1))
    desk.open().note("score", "PASS", score(-0.004))
    gate = {"since": 0, "until": 1, "outcome": replayed()}
    desk.open().note("shadow", "PASS", Shadowed(**gate, scored=score(-0.002)))
    desk.open().note("shadow", "asking", Shadowed(**gate))
    lines = ran(made, "review", "support").stdout.splitlines()
    assert next(line.split()[3] for line in lines if line.startswith("score  ")) == "-0.2"


def test_promises_that_are_broken_are_named_and_exit_with_12(made: Reviewable) -> None:
    made.promise()
    made.cut_over()
    made.slow, made.fails, made.per_hour = 3, 10, 90
    made.other = {"prompt_tokens": 100}
    made.serve()
    made.desk.open().note("score", "FAIL", score(-0.2, score(0).word.FAIL))
    lost = Line("gate1", NOW, timedelta(hours=1), "ada", "fleet", Sums(10, 7), Residual(3, 3))
    made.ledger = Ledger((lost,))
    done = ran(made, "review", "support", "--json")
    assert done.exit_code == 12
    assert [name for name, state in states(done).items() if state == "broken"] == [
        "score",
        "capacity assistant",
        "cost saved",
        "errors",
        "latency median time to first token",
        "latency p95 of time to first token",
        "ledger residual",
    ]
    assert done.document["review"]["kept"] is False
    said = ran(made, "review", "support").stdout.splitlines()
    assert said[0].startswith("7 promises are broken: score; capacity: assistant; cost: saved; errors; ")
    assert "next: add replicas of assistant, then rackwright apply" in said
    assert "next: rackwright migrate ledger" in said
    report = ran(made, "report", "support", "--json").document
    assert report["parts"]["cutover"]["review"]["findings"][0]["state"] == "broken"
    assert any(doubt.startswith("review: 7 promises are broken") for doubt in report["doubts"])


def test_what_can_t_be_measured_has_its_reason_and_is_no_broken_promise(made: Reviewable) -> None:
    made.promise()
    made.cut_over()
    done = ran(made, "review", "support", "--json")
    assert done.exit_code == 0
    assert {name for name, state in states(done).items() if state == "not measured"} == {
        "score",
        "capacity",
        "cost",
        "errors",
        "latency",
    }
    findings = {one["promise"]: one for one in done.document["review"]["findings"]}
    assert findings["capacity"]["why"] == "gate1: journalctl failed"
    assert all(one["measured"] is None for one in findings.values() if one["state"] == "not measured")
    assert findings["score"]["next"] == "rackwright migrate capture support, then replay and score"


def test_without_a_share_there_is_nothing_to_review(made: Reviewable) -> None:
    made.promise()
    done = ran(made, "review", "support")
    assert done.exit_code == 2
    assert "next: rackwright migrate cutover support" in done.stderr
    assert made.desk.open().entries()[-1].step == "cost"


def test_a_page_without_a_folder_is_refused_before_anything_is_noted(made: Reviewable, tmp_path: Path) -> None:
    made.promise()
    made.cut_over()
    made.serve()
    done = ran(made, "review", "support", "--out", tmp_path / "none" / "x.html")
    assert done.exit_code == 2
    assert made.desk.open().entries()[-1].step == "cutover"


def test_status_and_report_show_the_cutover(made: Reviewable) -> None:
    made.promise()
    made.cut_over()
    lines = ran(made, "status", "support").stdout.splitlines()
    shown = {line.partition("  ")[0]: line.partition("  ")[2].strip() for line in lines}
    assert shown["cutover"] == "the fleet gets 100 % of new conversations, and its gate has passed"
    assert shown["since"] == "2026-11-08T00:00:00Z"
    assert shown["why"] == "all 3 comparisons are within their thresholds"
    assert (shown["passed"], shown["way back"]) == ("50 %, 100 %", "was tried in this migration")
    assert lines[-1] == "next: rackwright migrate review support"
    document = ran(made, "status", "support", "--json").document["migration"]["cutover"]
    assert (document["share"], document["at"], document["paused"]) == (100, "2026-11-08T00:00:00Z", None)
    text = ran(made, "report", "support").stdout
    assert "| 2026-11-08T00:00:00Z | anna@laptop | cutover | 100 %: PASS: all 3" in text
    assert "| residual | not measured; next: rackwright migrate ledger |" in text
    made.serve()
    ran(made, "review", "support")
    text = ran(made, "report", "support").stdout
    assert "| residual | 0 on 2026-11-11T12:30:00Z, by the review: of 0 " in text
    assert "Measured until 2026-11-11T12:30:00Z: no promise is broken" in text


def test_status_says_who_paused_and_how_it_goes_on(made: Reviewable) -> None:
    made.promise()
    made.cut_over()
    pause(made.desk.session, "support", "an incident at the provider")
    said = ran(made, "status", "support").stdout
    assert "by anna@laptop, 2026-11-11T12:30:00Z: an incident at the provider" in said
    assert said.splitlines()[-1] == "next: rackwright migrate resume support"


def test_status_without_a_cutover_has_none(made: Reviewable) -> None:
    made.promise()
    assert ran(made, "status", "support", "--json").document["migration"]["cutover"] is None
    assert "cutover" not in ran(made, "report", "support", "--json").document["parts"]
