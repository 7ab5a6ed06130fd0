"""Sums and samples of gateways' access logs: the program that runs there, and what is made of its answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.migrate.review import gateway_logs, on_gateway
from rackwright.lifecycle.migrate.review.gateway_logs import Wanted, Window, read_logs
from rackwright.migrate.review.hourly import Hour
from rackwright.remote import Completed
from tests.lifecycle.migrate.review.reviewable import line

BEGAN = datetime(2026, 11, 8, 10, tzinfo=UTC)
SINCE = BEGAN.timestamp()
NUMBER = int(SINCE // 3600)


def wanted(*gateways: str) -> Wanted:
    windows = {"fleet": Window(SINCE, SINCE + 7200), "cloud": Window(SINCE - 60, SINCE)}
    return Wanted(("gpt-4o-mini",), SINCE, SINCE + 7200, dict.fromkeys(gateways or ("gate1",), windows))


def summed(*lines: str, most: int = 10) -> dict[str, Any]:
    windows = {"fleet": [SINCE, SINCE + 7200], "cloud": [SINCE - 60, SINCE]}
    return on_gateway.summed(lines, {"names": ["gpt-4o-mini"], "windows": windows, "most": most})


class Answers:
    """The interface of Remote, with what each gateway prints."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers

    def run_on(self, names: tuple[str, ...], commands: object, **_: object) -> dict[str, object]:
        done = {name: self.answers[name] for name in names}
        return {
            name: one if isinstance(one, HostError) else Completed(0, json.dumps(one).encode(), host=name)
            for name, one in done.items()
        }


def test_requests_are_summed_by_hour_name_and_side() -> None:
    found = summed(
        "-- oldest 1790000000",
        line(BEGAN, "fleet", 1),
        line(BEGAN + timedelta(minutes=59, milliseconds=999), "fleet", 2, status=503),
        line(BEGAN, "fleet", 3, prompt_tokens=None, completion_tokens=None),
        line(BEGAN + timedelta(hours=1), "fallback", 3),
        line(BEGAN, "fleet", 4, name="other"),
        line(BEGAN, None, 4),
        "-- whole",
    )
    assert found["rows"] == [
        [NUMBER, "gpt-4o-mini", "fleet", 3, 2, 1, 80_000, 2000],
        [NUMBER + 1, "gpt-4o-mini", "fallback", 1, 1, 1, 80_000, 2000],
    ]
    assert (found["oldest"], found["first"], found["read"], found["whole"]) == (1_790_000_000, SINCE, 6, True)


def test_lines_that_can_t_be_read_are_counted() -> None:
    assert summed(line(BEGAN, "fleet", 1)[:-9], "[]", '{"time":1}', "[" * 100_000, "")["dropped"] == 5


def test_a_sample_is_from_its_window_and_of_conversations() -> None:
    before, after = BEGAN - timedelta(seconds=30), BEGAN + timedelta(seconds=30)
    lines = [line(at, side, 7) for at in (before, after) for side in ("cloud", "fleet")]
    found = summed(*lines, line(after, "fleet", None))["samples"]
    assert (found["cloud"]["lines"], found["fleet"]["lines"]) == ([lines[0]], [lines[3]])


def test_a_sample_is_bounded_and_keeps_whole_conversations() -> None:
    lines = [line(BEGAN, "fleet", number % 500, bytes=number) for number in range(2000)]
    found = summed(*lines, most=400)["samples"]["fleet"]
    kept = [json.loads(one)["conversation"] for one in found["lines"]]
    assert 100 < len(kept) <= 400
    assert found["share"] in (0.25, 0.125)
    assert {kept.count(one) for one in kept} == {4}


def test_gateways_are_added_and_all_have_the_same_conversations() -> None:
    few = summed("-- oldest 5", *(line(BEGAN, "fleet", number) for number in range(20)), "-- whole", most=50)
    many = summed("-- oldest 5", *(line(BEGAN, "fleet", number) for number in range(200)), "-- whole", most=50)
    found = read_logs(Answers(gate1=few, gate2=many), wanted("gate1", "gate2"))  # type: ignore[arg-type]
    assert sum(row.requests for row in found.hours.rows) == 220
    assert Hour(NUMBER, "gpt-4o-mini", "fleet", 20, 20, 20, 1_600_000, 40_000) in found.hours.rows
    share = many["samples"]["fleet"]["share"]
    assert share < 1
    places = [on_gateway.drawn(one.conversation or 0) for one in found.samples["fleet"]]
    assert len(places) > len(many["samples"]["fleet"]["lines"])
    assert max(places) < share


def test_the_shortest_log_says_from_when_on_all_are_whole() -> None:
    long, short = summed("-- oldest 5", "-- whole"), summed(f"-- oldest {int(SINCE) + 1800}", "-- whole")
    found = read_logs(Answers(gate1=long, gate2=short), wanted("gate1", "gate2"))  # type: ignore[arg-type]
    assert found.hours.begins == SINCE + 1800


def test_a_log_with_too_many_lines_begins_with_the_first_that_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_logs, "MOST_LINES", 2)
    later = BEGAN + timedelta(minutes=10)
    full = summed("-- oldest 5", line(later, "fleet", 1), line(later, "fleet", 2), "-- whole")
    found = read_logs(Answers(gate1=full), wanted())  # type: ignore[arg-type]
    assert found.hours.begins == later.timestamp()


def test_each_gateway_that_can_t_be_asked_is_named() -> None:
    cut, gone = summed(line(BEGAN, "fleet", 1)), HostError("can't be reached", where="gate2")
    with pytest.raises(HostError, match=r"(?s)gate1: journalctl failed.*gate2: can't be reached"):
        read_logs(Answers(gate1=cut, gate2=gone, gate3=[]), wanted("gate1", "gate2"))  # type: ignore[arg-type]
    with pytest.raises(HostError, match="gate3"):
        read_logs(Answers(gate3={"format": "answered/2"}), wanted("gate3"))  # type: ignore[arg-type]
