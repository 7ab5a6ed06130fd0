"""The page of a small run that is written in this file."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from rich.console import Console

from tests.times import figures, page
from tests.times.junit import Suite, read

_BEGAN = 1_700_000_000
_HEAD = (
    '<testsuites><testsuite name="pytest" tests="4" time="130.0" timestamp="2023-11-14T22:13:20+00:00" hostname="x">'
)


def _case(classname: str, name: str, worker: str, times: tuple[int, int, int, int], **spent: float) -> str:
    """`times`: when setup, call and teardown start, and when the last ends, in seconds of the run."""
    phases = zip(("setup", "call", "teardown"), times, times[1:], strict=False)
    properties = {f"time.phase.{phase}": f"{_BEGAN + start} {_BEGAN + end}" for phase, start, end in phases}
    properties |= {"time.worker": worker} | {f"time.spent.{kind}": str(seconds) for kind, seconds in spent.items()}
    inside = "".join(
        f"<property name={quoteattr(key)} value={quoteattr(value)} />" for key, value in properties.items()
    )
    where = f'classname="{classname}" name="{name}" time="{times[-1] - times[0]}"'
    return f"<testcase {where}><properties>{inside}</properties></testcase>"


_CASES = (
    _case("tests.lab.test_apply", "test_whole[a]", "gw0", (10, 50, 69, 70), boots=20, apply=15),
    _case("tests.lab.test_apply.TestGroup", "test_whole", "gw0", (75, 75, 125, 125), apply=30),
    _case("tests.lab.test_ssh", "test_login", "gw1", (12, 13, 41, 42), boots=1),
    _case("tests.lab.test_ssh", "test_logout", "gw1", (42, 43, 99, 100)),
)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    path = tmp_path / "lab.xml"
    path.write_text(_HEAD + "".join(_CASES) + "</testsuite></testsuites>")
    return read(path)


def test_a_worker_is_busy_waits_between_tests_and_is_idle_at_the_end(suite: Suite) -> None:
    assert figures.workers(suite) == [
        figures.Worker("gw0", tests=2, before=10, busy=110, between=5, after=0),
        figures.Worker("gw1", tests=2, before=12, busy=88, between=0, after=25),
    ]


def test_the_last_worker_is_alone_from_the_end_of_the_one_before_it() -> None:
    ended = [figures.Worker(name, 1, 0, 0, 0, after) for name, after in (("gw0", 30), ("gw1", 0), ("gw2", 7))]
    assert figures.alone(ended) == 7
    assert figures.alone(ended[:1]) == 0


def test_files_stand_by_their_time_with_what_it_was_spent_on(suite: Suite) -> None:
    assert figures.by_file(suite) == [
        figures.File("tests/lab/test_apply.py", 2, 110, 40, {"apply": 45, "boots": 20}),
        figures.File("tests/lab/test_ssh.py", 2, 88, 2, {"boots": 1}),
    ]


def test_a_test_that_fails_twice_counts_once(tmp_path: Path) -> None:
    first = '<testcase classname="tests.test_a" name="test_b" time="3"><failure /></testcase>'
    second = _case("tests.test_a", "test_b", "gw0", (1, 2, 5, 9))
    (tmp_path / "unit.xml").write_text(_HEAD + first + second + "</testsuite></testsuites>")
    assert [case.seconds for case in read(tmp_path / "unit.xml").cases] == [8]


def test_an_error_outside_of_files_does_not_hide_the_rest(tmp_path: Path) -> None:
    error = '<testcase classname="pytest" name="internal" time="0"><error /></testcase>'
    (tmp_path / "unit.xml").write_text(_HEAD + error + _CASES[0] + "</testsuite></testsuites>")
    files = figures.by_file(read(tmp_path / "unit.xml"))
    assert [file.name for file in files] == ["tests/lab/test_apply.py", "pytest.py"]


def test_the_page_names_all_of_it(suite: Suite) -> None:
    text = _shown(suite)
    assert "lab: 4 tests, 130 s" in text
    assert "one worker is alone for 25 s" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["gw1", "2", "12", "88", "0.0", "25"] in rows
    assert ["apply", "45", "23"] in rows
    assert ["everything", "else", "132", "67"] in rows
    assert ["tests/lab/test_apply.py", "2", "110", "40", "apply", "45,", "boots", "20"] in rows
    slowest = [row[0] for row in rows[-4:]]
    assert slowest[::3] == ["tests/lab/test_apply.py::test_whole[a]", "tests/lab/test_ssh.py::test_login"]


def test_a_file_without_our_properties_still_shows_files_and_tests(tmp_path: Path) -> None:
    case = '<testcase classname="tests.test_a" name="test_b" time="3.5" />'
    (tmp_path / "old.xml").write_text(_HEAD + case + "</testsuite></testsuites>")
    text = _shown(read(tmp_path / "old.xml"))
    assert ["tests/test_a.py::test_b", "3.5", "0.0"] in [line.split() for line in text.splitlines()]
    assert "worker" not in text


def _shown(suite: Suite) -> str:
    console = Console(file=StringIO(), width=140)
    page.show(suite, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()
