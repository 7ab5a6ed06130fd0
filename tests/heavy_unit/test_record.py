"""The record of what passed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.heavy.need.record import FORMAT, load, save
from tests.heavy_unit.records import BASE, passed, record


def test_it_reads_what_it_wrote_and_its_format_comes_first(tmp_path: Path):
    path = tmp_path / "passed.json"
    save(record(4, vip=4, vllm=2), path)
    assert load(path) == record(4, vip=4, vllm=2)
    assert next(iter(json.loads(path.read_text()))) == "format"


def test_another_format_is_refused(tmp_path: Path):
    path = tmp_path / "passed.json"
    save(record(4), path)
    path.write_text(path.read_text().replace(FORMAT, "heavy-passed/2"))
    with pytest.raises(ValueError, match="heavy-passed/1"):
        load(path)


def test_a_file_that_passed_in_none_of_the_last_five_landings_is_overdue():
    known = record(7, early=2, just=3, now=7)
    names = ["test_early.py", "test_just.py", "test_now.py", "test_never.py"]
    assert known.overdue(names) == ["test_early.py", "test_never.py"]


def test_a_landing_is_told_by_the_commit_that_landed_before():
    known = record(4)
    assert (known.number(BASE), known.number("a" * 40), known.number(None)) == (4, 5, 4)


def test_passes_of_one_landing_add_up_and_those_of_the_next_raise_its_number():
    known = record(4, vip=3)
    once = known.with_passed("a" * 40, {"test_vllm.py": passed(5)})
    again = once.with_passed("a" * 40, {"test_vip.py": passed(5)})
    assert again == known.__class__(5, "a" * 40, {"test_vip.py": passed(5), "test_vllm.py": passed(5)})
    assert again.with_passed("b" * 40, {}).landing == 6
