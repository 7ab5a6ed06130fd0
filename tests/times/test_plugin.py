"""A pytest run with our hooks and one worker: its order, its junit file and its output."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

from tests.times.junit import Suite, read

_ROOT = Path(__file__).parents[2]
_ON_HOSTS = """\
import pytest

from tests.times.recorder import spent


@pytest.fixture(scope="module")
def host():
    with spent("boots"):
        pass
    yield
    with spent("removal"):
        pass


def test_first(host):
    pass


class TestGroup:
    def test_second(self, host):
        with spent("apply"):
            assert False, "a failed test is recorded, too"
"""
_QUICK = "def test_quick(record_property):\n    record_property('seen', '3 of 3')\n"
_WORDS = (
    "-n 1 --dist loadfile --no-loadscope-reorder --junitxml=run.xml -p no:cacheprovider -p xdist -p tests.conftest"
)


@dataclass(frozen=True)
class Ran:
    suite: Suite
    printed: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("run")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "tests/lab").mkdir(parents=True)
    (folder / "tests/lab/test_hosts.py").write_text(_ON_HOSTS)
    (folder / "tests/cli").mkdir()
    (folder / "tests/cli/test_quick.py").write_text(_QUICK)
    environment = os.environ | {"PYTHONPATH": str(_ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    argv = [sys.executable, "-m", "pytest", *_WORDS.split()]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return Ran(read(folder / "run.xml"), done.stdout)


@pytest.fixture(scope="module")
def suite(ran: Ran) -> Suite:
    return ran.suite


def test_a_module_fixture_counts_for_the_tests_that_set_it_up_and_tear_it_down(suite: Suite) -> None:
    spent = {(case.file, case.name): set(case.spent) for case in suite.cases}
    assert spent == {
        ("tests/lab/test_hosts.py", "test_first"): {"boots"},
        ("tests/lab/test_hosts.py", "test_second"): {"apply", "removal"},
        ("tests/cli/test_quick.py", "test_quick"): set(),
    }


def test_each_test_names_its_worker_and_when_its_phases_began_and_ended(suite: Suite) -> None:
    for case in suite.cases:
        assert case.worker == "gw0"
        assert list(case.phases) == ["setup", "call", "teardown"]
    times = list(chain.from_iterable(chain.from_iterable(case.phases.values()) for case in suite.cases))
    assert times == sorted(times)
    assert suite.began < times[0]


def test_the_file_that_takes_longer_comes_first(suite: Suite) -> None:
    began = sorted((case.phases["setup"], case.name) for case in suite.cases)
    assert [name for _, name in began] == ["test_first", "test_second", "test_quick"]


def test_what_tests_note_is_printed_and_times_are_not(ran: Ran) -> None:
    assert "\nseen: 3 of 3\n" in ran.printed
    assert "time." not in ran.printed
