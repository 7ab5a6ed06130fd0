"""The part of the driver that replaces torch; the rest needs guidellm, and runs in tests/heavy/test_bench.py."""

from __future__ import annotations

import runpy
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.lifecycle.bench.measure import DRIVER


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
