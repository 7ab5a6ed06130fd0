from __future__ import annotations

from pathlib import Path

import pytest

from tests.times import durations
from tests.times.junit import Case, Suite


def _ordered(*items: str, **recorded: int) -> list[str]:
    seconds = {f"tests/{name}.py": value for name, value in recorded.items()}
    return durations.longest_first(items, lambda item: item.partition("::")[0], seconds)


def test_the_longest_file_comes_first() -> None:
    items = ("tests/a.py::x", "tests/b.py::x", "tests/c.py::x")
    assert _ordered(*items, a=10, b=300, c=20) == ["tests/b.py::x", "tests/c.py::x", "tests/a.py::x"]


def test_tests_of_a_file_stay_together_and_in_order() -> None:
    items = ("tests/a.py::z", "tests/b.py::x", "tests/b.py::a", "tests/a.py::y")
    assert _ordered(*items) == ["tests/a.py::z", "tests/a.py::y", "tests/b.py::x", "tests/b.py::a"]
    assert _ordered(*items, b=9) == ["tests/b.py::x", "tests/b.py::a", "tests/a.py::z", "tests/a.py::y"]


def test_a_file_that_is_not_recorded_is_short_and_longer_where_it_needs_hosts() -> None:
    items = ("tests/new.py::x", "tests/lab/new.py::x", "tests/heavy/new.py::x", "tests/six.py::x", "tests/hour.py::x")
    assert _ordered(*items, six=6, hour=3600) == [items[4], items[1], items[2], items[3], items[0]]


def test_a_record_keeps_what_was_not_measured_and_forgets_files_that_are_gone(tmp_path: Path) -> None:
    for name in ("tests/lab/kept.py", "tests/lab/again.py", "tests/lab/quick.py", "tests/long.py", "tests/short.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    recorded = {"tests/lab/kept.py": 70, "tests/lab/again.py": 90, "tests/gone.py": 80, "tests/short.py": 40}
    suite = _suite(
        ("tests/lab/again.py", 50.6), ("tests/lab/quick.py", 0.2), ("tests/long.py", 7), ("tests/short.py", 5)
    )
    assert durations.renewed(recorded, [suite], tmp_path) == {
        "tests/lab/kept.py": 70,
        "tests/lab/again.py": 51,
        "tests/lab/quick.py": 1,
        "tests/long.py": 7,
    }


def test_of_a_file_that_two_runs_measured_the_longer_time_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    suites = [_suite(("a.py", 30)), _suite(("a.py", 50)), _suite(("a.py", 20))]
    assert durations.renewed({}, suites, tmp_path) == {"a.py": 50}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    durations.save({"tests/b.py": 8, "tests/a.py": 9}, tmp_path / "durations.json")
    assert durations.load(tmp_path / "durations.json") == {"tests/a.py": 9, "tests/b.py": 8}


def test_a_record_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "durations.json").write_text('{"format": "durations/2", "seconds": {}}')
    with pytest.raises(AssertionError, match="durations/2"):
        durations.load(tmp_path / "durations.json")


def _suite(*files: tuple[str, float]) -> Suite:
    return Suite("lab", 0, 100, tuple(Case(name, "test_all", seconds) for name, seconds in files))
