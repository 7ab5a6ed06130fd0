"""guidellm 0.8.1's report about llama-server: 70 answered requests, and 6 with a wrong key. Unused parts are
removed."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.bench.load import Load
from rackwright.lifecycle.bench.report import kind_of, parse_report, rank, spread

WRITTEN = Path(__file__).parent / "written"
ANSWERED = (WRITTEN / "answered.json").read_text()
REFUSED = (WRITTEN / "refused.json").read_text()


def test_answered_requests_come_to_guidellms_own_figures():
    step = parse_report(ANSWERED, Load(4, 70, 40, 4))
    its = json.loads(ANSWERED)["benchmarks"][0]["metrics"]
    first = its["time_to_first_token_ms"]["successful"]
    assert (step.requests, step.answered, step.errors) == (70, 70, {})
    assert (step.prompt_tokens, step.answer_tokens, round(step.cached_tokens, 1)) == (42, 4, 24.2)
    assert step.requests_per_second == pytest.approx(its["requests_per_second"]["successful"]["mean"])
    assert step.tokens_per_second == pytest.approx(its["output_tokens_per_second"]["successful"]["mean"])
    assert step.ttft is not None
    assert step.ttft.p50 * 1000 == pytest.approx(first["percentiles"]["p50"])
    assert step.ttft.p95 * 1000 == pytest.approx(first["percentiles"]["p95"])


def test_intervals_are_guidellms_too_and_there_is_none_for_what_too_few_tell():
    step = parse_report(ANSWERED, Load(4, 70, 40, 4))
    its = json.loads(ANSWERED)["benchmarks"][0]["metrics"]["time_to_first_token_ms"]["successful"]["percentile_cis"]
    assert step.ttft is not None
    assert set(step.ttft.between) == {"p50", "p90"}
    for name in ("p50", "p90"):
        between = tuple(1000 * value for value in step.ttft.between[name])
        assert between == pytest.approx((its[name]["lower"], its[name]["upper"]))
    assert its["p95"] is None


def test_no_cached_tokens_are_counted_where_no_answer_says_them():
    said = re.sub(r'"cached_tokens": \d+', '"cached_tokens": null', ANSWERED)
    assert said != ANSWERED
    assert parse_report(said, Load(4, 70, 40, 4)).cached_tokens is None


def test_what_the_tool_has_against_its_figures_is_told():
    (remark,) = parse_report(ANSWERED, Load(4, 70, 40, 4)).remarks
    assert remark.startswith("p95 root dispatch delay was 0.295s")


def test_refused_requests_are_errors_of_one_kind_and_no_figures():
    step = parse_report(REFUSED, Load(4, 6, 40, 4))
    assert (step.answered, step.errors, step.error_share) == (0, {"HTTP 401": 6}, 1)
    assert (step.ttft, step.tpot, step.latency, step.requests_per_second) == (None, None, None, 0)


def test_a_request_that_the_tool_lost_is_no_success():
    step = parse_report(ANSWERED, Load(4, 72, 40, 4))
    assert step.errors == {"not sent": 2}


def test_one_that_was_cut_short_at_the_end_has_failed():
    document = json.loads(ANSWERED)
    requests = document["benchmarks"][0]["requests"]
    requests["incomplete"] = [requests["successful"].pop()]
    assert parse_report(json.dumps(document), Load(4, 70, 40, 4)).errors == {"not finished in time": 1}


@pytest.mark.parametrize("text", ["", "{}", '{"benchmarks": []}', '{"benchmarks": [{"duration": 1}]}'])
def test_what_is_no_report_is_named(text):
    with pytest.raises(RackwrightError, match="guidellm: its report can't be read"):
        parse_report(text, Load(1, 1, 1, 1))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("HTTPStatusError(\"Server error '503 Service Unavailable' for url 'https://llm/v1'\")", "HTTP 503"),
        ("ReadTimeout('')", "timed out"),
        ("ConnectError('All connection attempts failed')", "no connection"),
        ("RemoteProtocolError('peer closed connection')", "cut off"),
        ("ValueError('odd')", "ValueError"),
        ("", "unknown"),
    ],
)
def test_errors_are_told_apart(error, kind):
    assert kind_of(error) == kind


@pytest.mark.parametrize(
    ("percent", "count", "at"), [(50, 1, 1), (50, 4, 2), (95, 20, 19), (99, 20, 20), (95, 100, 95)]
)
def test_a_percentile_is_the_nearest_rank(percent, count, at):
    assert rank(percent, count) == at


def test_thousands_of_requests_have_intervals_as_well():
    found = spread(range(10_000))
    assert found is not None
    low, high = found.between["p99"]
    assert 9870 < low < found.p99 < high < 9930


def test_an_interval_holds_the_percentile_as_often_as_it_says():
    dice = random.Random(1)  # noqa: S311
    inside = 0
    for _ in range(400):
        found = spread([dice.random() for _ in range(60)])
        assert found is not None
        low, high = found.between["p50"]
        inside += low <= 0.5 <= high
    assert 0.93 < inside / 400 <= 1
