"""The part of the driver that replaces torch; the rest needs guidellm, and runs in tests/heavy/test_bench.py."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.lifecycle.bench.load import Load
from rackwright.lifecycle.bench.measure import DRIVER
from rackwright.lifecycle.bench.report import parse_report


@pytest.fixture(scope="module")
def loader() -> Any:
    return runpy.run_path(str(DRIVER))["PlainLoader"]


class Numbered:
    """A preprocessor that must see the data first."""

    def setup_data(self, datasets: list[list[str]]) -> None:
        self.count = len(datasets[0])

    def __call__(self, row: list[dict[str, str]]) -> list[str]:
        return [f"{item['dataset']} of {self.count}" for item in row]


def made(loader: Any, *rows: str) -> Any:
    config = SimpleNamespace(model_dump=lambda mode: {"kind": "pytorch"})
    return loader(config, [list(rows)], [Numbered()], tuple, random_seed=1)


def test_rows_come_once_and_in_order_and_again_for_who_asks_again(loader):
    rows = made(loader, "a", "b")
    assert list(rows) == [("a of 2",), ("b of 2",)]
    assert list(rows) == [("a of 2",), ("b of 2",)]
    assert rows.info == {"kind": "pytorch"}


def test_without_the_tool_it_fails_and_says_what_is_missing():
    done = subprocess.run(
        [sys.executable, "-I", str(DRIVER)], input="{}", capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "No module named 'guidellm'" in done.stderr


def of(at: float, start: float, end: float | None) -> dict[str, Any]:
    """Return one request of guidellm's report."""
    timings = {"targeted_start": start, "request_end": end, "resolve_end": end}
    info = {"error": None, "traceback": "Ada", "timings": timings, "settings": {"relative_timestamp": at}}
    figures = {"input_metrics": {"total_tokens": 3}, "output_metrics": {"total_tokens": 2}, "request_latency": 0.5}
    return {**figures, "request_args": "Ada", "output": "Lovelace", "info": info}


def test_of_a_replay_only_figures_are_reported_and_not_the_request_after_the_last():
    recorded_report = runpy.run_path(str(DRIVER))["recorded_report"]
    requests = {
        "successful": [of(3, 103, 104), of(5, 105, 107.5), of(7, 107, 108)],
        "errored": [],
        "incomplete": None,
    }
    report = {"args": "Ada", "benchmarks": [{"duration": 9, "warnings": [], "config": "Ada", "requests": requests}]}
    text = json.dumps(recorded_report(report, 5))
    assert "Ada" not in text
    assert "Lovelace" not in text
    step = parse_report(text, Load(1, 2, 3, 2))
    assert (step.answered, step.seconds, step.errors, step.answer_tokens) == (2, 4.5, {}, 2)
