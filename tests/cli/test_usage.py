"""`usage`: text, CSV and JSON, what is lost, and gateways that can't be asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.gateway.usage import Usages
from rackwright.roles.usage.program.day import Day
from tests.cli.command_line import rackwright
from tests.fleet.test_clouds import loaded
from tests.gateway.test_whole_usage import TODAY, USAGE


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    path = loaded(tmp_path).path

    def ran(answers: dict[str, Any], *words: str) -> Any:
        asked: list[str] = []

        def read(_: Usages, since: Any) -> dict[str, Any]:
            asked.append(since.isoformat())
            return answers

        monkeypatch.setattr(Usages, "read", read)
        done = rackwright("-f", path, "usage", "--since", "2026-12-01T15:00", *words)
        assert asked in ([], ["2026-12-01"])
        return done

    return ran


ANSWERS = dict(USAGE.days)


def test_by_key(run: Callable[..., Any]) -> None:
    done = run(ANSWERS)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "since 2026-12-01",
        "key  requests  failed  cancelled  prompt tokens  cached  completion tokens  estimated  hours",
        "app  1         0       0          10             4       2                  0          0.0",
        "web  4         0       0          40             16      8                  0          0.0",
        "all  5         0       0          50             20      10                 0          0.0",
    ]


def test_by_owner_an_unknown_one_is_a_dash(run: Callable[..., Any]) -> None:
    rows = run(ANSWERS, "--by", "owner").stdout.splitlines()[2:]
    assert [row.split()[0] for row in rows] == ["-", "research", "all"]


def test_by_model_with_times(run: Callable[..., Any]) -> None:
    rows = run(ANSWERS, "--by", "model").stdout.splitlines()[1:]
    assert [re.split(" {2,}", row)[-5:] for row in rows] == [
        ["hours", "first byte p50", "p95", "total p50", "p95"],
        ["0.0", "< 0.1 s", "< 0.5 s", "< 0.15 s", "< 1 s"],
        ["0.0", "< 15 s", "< 15 s", "< 30 s", "< 30 s"],
        ["50", "20", "10", "0", "0.0"],
    ]


def test_csv_has_a_header_and_no_formulas(run: Callable[..., Any]) -> None:
    done = run(ANSWERS, "--by", "day", "--by", "model", "--csv")
    assert done.stdout.splitlines() == [
        "day,model,completed,cancelled,interrupted,rejected,prompt_tokens,cached_tokens,completion_tokens,estimated,"
        "milliseconds",
        "2026-12-05,chat,3,0,0,0,30,12,6,0,1400",
        "2026-12-05,coder,1,0,0,0,10,4,2,0,20000",
        "2026-12-06,chat,1,0,0,0,10,4,2,0,100",
    ]
    made = Day(TODAY)
    made.rows.update({row._replace(owner='=cmd|"x",'): counts for row, counts in USAGE.days["gate2"][0].rows.items()})
    assert run({"gate1": [made]}, "--by", "owner", "--csv").stdout.splitlines()[1].startswith('"\'=cmd|""x"",",2,')


def test_json_has_rows_sums_histograms_and_what_is_lost(run: Callable[..., Any]) -> None:
    lost = Day(TODAY, lost=3, gaps=[(1_796_731_200_000, 1_796_731_260_000)])
    done = run({**ANSWERS, "gate3": [lost]}, "--by", "model", "--json")
    document = done.document
    assert [row["model"] for row in document["rows"]] == ["chat", "coder"]
    assert len(document["rows"][0]["total"]) == len(document["edges_ms"]) + 1
    assert document["total"]["prompt_tokens"] == 50
    gap = {"after": "2026-12-08T12:00:00Z", "before": "2026-12-08T12:01:00Z"}
    assert document["lost"] == [{"gateway": "gate3", "day": "2026-12-05", "requests": 3, "gaps": [gap]}]


def test_what_is_lost_is_said(run: Callable[..., Any]) -> None:
    lost = Day(TODAY, lost=3, gaps=[(1_796_731_200_000, 1_796_731_260_000)])
    done = run({"gate1": [lost]})
    assert done.stdout.splitlines() == ["since 2026-12-01", "no requests"]
    assert done.stderr.splitlines() == [
        "gate1: 3 requests on 2026-12-05 could not be counted",
        "gate1: the log lost lines between 2026-12-08T12:00:00Z and 2026-12-08T12:01:00Z",
    ]


def test_a_gateway_that_cant_be_asked_exits_with_3(run: Callable[..., Any]) -> None:
    answers = {**ANSWERS, "gate3": HostError("timed out", where="gate3")}
    done = run(answers)
    assert done.exit_code == 3
    assert "gate3: timed out" in done.stderr
    assert run(answers, "--json").document["missed"] == {"gate3": "timed out"}


def test_csv_or_json(run: Callable[..., Any]) -> None:
    done = run(ANSWERS, "--csv", "--json")
    assert done.exit_code == 2
    assert "should be one of them" in done.stderr
