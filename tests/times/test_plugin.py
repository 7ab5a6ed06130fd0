"""A run of pytest with a worker writes a junit file from which the figures come."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from tests.times.junit import Suite, read

_ROOT = Path(__file__).parents[2]
_TESTS = """\
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


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    folder = tmp_path_factory.mktemp("run")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_hosts.py").write_text(_TESTS)
    words = "-p xdist -p tests.times.plugin -p no:cacheprovider -n 1 --dist loadfile --junitxml=run.xml".split()
    environment = os.environ | {"PYTHONPATH": str(_ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return read(folder / "run.xml")


def test_a_module_fixture_counts_for_the_tests_that_set_it_up_and_tear_it_down(suite: Suite) -> None:
    spent = {(case.file, case.name): set(case.spent) for case in suite.cases}
    assert spent == {
        ("test_hosts.py", "test_first"): {"boots"},
        ("test_hosts.py", "test_second"): {"apply", "removal"},
    }


def test_each_test_names_its_worker_and_when_its_phases_began_and_ended(suite: Suite) -> None:
    for case in suite.cases:
        assert case.worker == "gw0"
        assert list(case.phases) == ["setup", "call", "teardown"]
    times = list(chain.from_iterable(chain.from_iterable(case.phases.values()) for case in suite.cases))
    assert times == sorted(times)
    assert suite.began < times[0]
