from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rackwright.cli.render.bench_html import as_html
from rackwright.cli.render.bench_text import as_text, history
from rackwright.fleet.sections.objectives import Objectives
from rackwright.lifecycle import bench as library
from rackwright.lifecycle.bench import Benched
from rackwright.lifecycle.bench.compare import compare
from rackwright.lifecycle.bench.objectives import verdicts
from rackwright.lifecycle.client import origin as asker
from rackwright.lifecycle.session import session as sessions
from tests.cli.command_line import rackwright
from tests.lifecycle.bench.steps import bench, spread, step

EVIL = '<script>alert("x")</script>\x1b[2J&'
OBJECTIVES = Objectives.model_validate({"ttft_p95": "200ms", "errors": "1%"})
FAILED = step(2, answered=998, errors={"HTTP 503": 2}, remarks=("sent late",), ttft=spread(0.25))


def benched(*steps: Any, objectives: Objectives | None = None, **said: Any) -> Benched:
    found = bench(*steps, **said)
    return Benched(found, verdicts(found.judged, objectives), (bench(step(2), digest="c" * 64, run="r0"),))


def test_the_text_has_what_was_measured_the_figures_and_the_verdicts():
    lines = as_text(benched(FAILED, objectives=OBJECTIVES), None)
    text = "\n".join(lines)
    assert lines[0] == (
        "assistant: weights aaaaaaaaaaaaaaaa by llama_cpp-b10434, through gateway gate1 with 2 replicas, from the "
        "controller, by guidellm 0.8.1"
    )
    assert lines[1].startswith(
        "1000 requests at 2 a second, 998 answered in 500.0 s, 2 failed (2 HTTP 503); 40 tokens of"
    )
    assert re.search(r"^first token +250 ms +250 ms +250 ms +250 ms$", text, re.MULTILINE)
    assert "throughput: 2.00 requests/s, 16.0 output tokens/s" in lines
    assert "note: sent late" in lines
    assert "MISS ttft_p95: 250 ms, wanted at most 200 ms" in lines
    assert "ok   errors: 0.20% (2 of 1000), wanted at most 1.00%" in lines


def test_cached_tokens_are_shown_if_the_answers_said_them():
    for cached, shown in ((None, "40 tokens of prompt, "), (0, "40 tokens of prompt (0 of them cached), ")):
        assert shown in as_text(benched(step(2, cached_tokens=cached)), None)[1]


def test_few_requests_and_a_service_that_fell_behind_are_told():
    text = "\n".join(as_text(benched(step(2, requests=20, answered=20, per_second=0.5)), None))
    assert "note: the p99 of 20 requests is the slowest of them" in text
    assert "note: the service fell behind: it answered 0.50 of 2.00 per second" in text


def test_a_search_shows_each_rate_and_where_it_ended():
    found = benched(step(1), step(2), step(4, per_second=2.1), knee=step(2), searched=True, why_ended="it was enough")
    text = "\n".join(as_text(found, None))
    assert [line.split()[0] for line in text.splitlines()[1:5]] == ["rate", "1", "2", "4"]
    assert "knee: 2 a second, 2.00 requests/s, 16.0 output tokens/s; it was enough" in text
    lost = as_text(benched(step(1), searched=True, why_ended="already at 1 a second it was slow"), None)
    assert "no knee: already at 1 a second it was slow; start lower with --rate" in "\n".join(lost)


def test_a_comparison_stands_below_and_says_what_is_noise():
    found = benched(step(2, ttft=spread(0.5)))
    text = "\n".join(as_text(found, compare(found.bench, found.earlier)))
    assert "compared with r0: weights cccccccccccccccc by llama_cpp-b10434, 2026-11-26T01:02:00Z" in text
    assert re.search(r"ttft p95 +250 ms +-> +500 ms +\+100%, too few requests to tell", text)
    other = benched(step(3))
    assert "  not comparable: rate: 2.0 then, 3.0 now" in as_text(other, compare(other.bench, other.earlier))


def test_history_has_a_line_for_each():
    lines = history([bench(step(1)), bench(step(1), knee=step(2), searched=True, run="r2")])
    assert [line.split()[0] for line in lines] == ["run", "20261126T010214Z-3949", "r2"]
    assert "2 (knee)" in lines[2]
    assert history([]) == ["no measurements yet"]


class _Page(HTMLParser):
    """Collects the tags and attributes that a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, list[str]] = {}
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_self_contained_and_escapes_foreign_text():
    found = benched(FAILED.model_copy(update={"remarks": (EVIL,)}), who=EVIL, objectives=OBJECTIVES)
    page = _Page(as_html(found, compare(found.bench, found.earlier), OBJECTIVES))
    assert "script" not in page.tags
    assert page.text.count('<script>alert("x")</script>\\x1b[2J&') == 2
    assert "\x1b" not in page.text
    assert not {"src", "href", "onload"} & page.attributes.keys()
    assert "url(" not in page.text
    assert "prefers-color-scheme: dark" in page.text


def test_every_plot_is_told_in_words_too():
    found = benched(step(1), step(2), knee=step(2), searched=True, why_ended="it was enough")
    text = as_html(found, None, OBJECTIVES)
    page = _Page(text)
    assert page.tags.count("svg") == 3
    assert page.attributes["role"] == ["img"] * 3
    assert "Whole answer, p95 (s) by throughput: 1 a second: 0.5; 2 a second: 0.5" in page.attributes["aria-label"]
    assert "wanted at most 200 ms" in page.text
    assert page.tags.count("polyline") == 3
    assert "knee: 2 a second" in page.text
    assert text.count('class="knee"') == 3
    assert "earlier" not in page.attributes.get("class", [])


def test_one_rate_has_no_plot_and_says_how_to_get_a_load_curve():
    page = _Page(as_html(benched(step(1)), None, None))
    assert "svg" not in page.tags
    assert "rackwright bench assistant --knee measures a load curve" in page.text


def test_the_page_compares_with_the_last_run_that_was_measured_in_the_same_way():
    searched = {"knee": step(2), "searched": True, "why_ended": "it was enough"}
    now = bench(step(1), step(2), **searched)
    same = bench(step(1), step(2, ttft=spread(0.5)), run="r2", **searched)
    other = bench(step(1), step(2), run="r3", replicas=5, **searched)
    found = Benched(now, (), (bench(step(2), run="r0"), same, other))
    text = as_html(found, None, None)
    page = _Page(text)
    assert "The dashed line is run r2" in page.text
    assert page.attributes["class"].count("earlier") == 3
    assert "knee, requests" in page.text


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The result of a measurement, and its arguments; nothing is measured."""
    asked: list[Any] = [benched(step(1))]

    @contextmanager
    def open_session(fleet: Any) -> Iterator[Any]:
        yield fleet

    def measure(site: Any, asker: Any, wanted: Any, told: Any) -> Benched:
        told.say("installing")
        asked.append(wanted)
        return asked[0]

    monkeypatch.setattr(sessions, "open_session", open_session)
    monkeypatch.setattr(asker, "choose_asker", lambda site: None)
    monkeypatch.setattr(library, "bench", measure)
    return asked


@pytest.mark.parametrize(
    ("words", "load"),
    [
        ([], (1, 100, 256, 64)),
        (["--rate", "2.5", "--seconds", "10"], (2.5, 25, 256, 64)),
        (["--requests", "7", "--prompt-tokens", "9", "--answer-tokens", "3"], (1, 7, 9, 3)),
    ],
)
def test_the_load_is_what_is_said_and_else_the_fleet_files(site: Path, measured: list[Any], words, load):
    assert rackwright("-f", site, "bench", "assistant", *words).exit_code == 0
    wanted = measured[1]
    assert (wanted.load.rate, wanted.load.requests, wanted.load.prompt_tokens, wanted.load.answer_tokens) == load
    assert (wanted.model, wanted.replica, wanted.knee) == ("assistant", None, False)


def test_objectives_of_the_fleet_file_say_the_load(site: Path, measured: list[Any]):
    context = "    context: 32768 "
    site.write_text(
        site.read_text().replace(context, f"    objectives: {{errors: 1%, rate: 3, requests: 30}}\n{context}")
    )
    assert rackwright("-f", site, "bench", "assistant").exit_code == 0
    assert (measured[1].load.rate, measured[1].load.requests) == (3, 30)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (benched(step(1)), 0),
        (benched(FAILED, objectives=OBJECTIVES), 12),
        (benched(step(1, answered=0)), 12),
        (benched(step(1), searched=True, why_ended="slow"), 12),
        (benched(step(1), knee=step(1), searched=True), 0),
    ],
)
def test_the_exit_code_tells_of_objectives(site: Path, measured: list[Any], found: Benched, code: int):
    measured[0] = found
    assert rackwright("-f", site, "bench", "assistant").exit_code == code


def test_the_document_has_what_programs_need(site: Path, measured: list[Any], tmp_path: Path):
    measured[0] = benched(FAILED, objectives=OBJECTIVES)
    ran = rackwright("-f", site, "bench", "assistant", "--json", "--compare", "--html", tmp_path / "page.html")
    document = ran.document
    assert (document["met"], document["bench"]["format"]) == (False, "bench/1")
    assert document["objectives"][0] == {
        "objective": "ttft_p95",
        "wanted": "at most 200 ms",
        "found": "250 ms",
        "met": False,
    }
    assert document["comparison"]["run"] == "r0"
    assert ran.stderr == ""
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_a_page_that_can_not_be_written_costs_no_answer(site: Path, measured: list[Any], tmp_path: Path):
    (tmp_path / ".page.html.new").mkdir()
    ran = rackwright("-f", site, "bench", "assistant", "--html", tmp_path / "page.html")
    assert ran.exit_code == 1
    assert "1000 requests at 1 a second" in ran.stdout
    assert ".page.html.new: Is a directory" in ran.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody"], "no model of that name; known names: assistant"),
        (["assistant", "--requests", "3", "--seconds", "3"], "--requests and --seconds both set how long to measure"),
        (
            ["assistant", "--prompt-tokens", "40000"],
            "40000 prompt tokens and 64 answer tokens are more than the context",
        ),
        (["assistant", "--rate", "0"], "0.0 is not in the range"),
        (["assistant", "--rate", "2", "--seconds", "86400"], "172800 requests are too many; at most 100000"),
        (["assistant", "--html", "/no such/page.html"], "--html /no such/page.html: its folder doesn't exist"),
        (["assistant", "--html", "/tmp"], "'/tmp' is a directory"),
    ],
)
def test_what_can_not_be_is_refused(site: Path, measured: list[Any], words, message):
    ran = rackwright("-f", site, "bench", *words)
    assert ran.exit_code == 2
    assert message in ran.stderr
    assert len(measured) == 1
