"""A controller is killed at a write to the control host; another operator resumes or aborts the work.

This tests some of the writes, or all with EVERY_KILL=1 in the environment (a quarter of an hour).
tests/lifecycle/test_kills.py tests all of them on a simulated fleet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.lab.hosts import Lab
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.lab.two_replicas import HOSTS, all_serve, running
from tests.lab.versions import Versions

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/lifecycle/rollout/change.py",
    "rackwright/lifecycle/rollout/engine_changes.py",
    "rackwright/lifecycle/update/unfinished.py",
    "rackwright/lifecycle/update/resume.py",
    "rackwright/lifecycle/rollout/procedure.py",
    "rackwright/lifecycle/update/procedure.py",
    "rackwright/state/journal.py",
    "rackwright/state/lease.py",
    "rackwright/state/rollout.py",
    "rackwright/state/store.py",
)
ROOT = Path(__file__).parents[2]
OPENED, PROMOTED, LAST = 2, 17, 18
"""Writes: both locks (1); opened; for each replica gate, drain, act, prove, return, soak, done; promote; closed."""
SOME = [
    ("after", 1, None),
    ("after", 6, "abort"),
    ("after", 12, "resume"),
    ("before", LAST, "resume"),
]
EVERY = [
    (moment, number, None if number + (moment == "after") <= OPENED else verb)
    for number in range(1, LAST + 1)
    for moment, verb in (("before", "resume"), ("after", "abort" if number < PROMOTED else "resume"))
    if (moment, number) != ("after", LAST)
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("kills", "gate1", *HOSTS) as lab:
        yield lab


@pytest.fixture(scope="module")
def model(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Versions:
    site = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    site.edit("soak: 2s", "soak: 0s")
    versions = Versions(site)
    site("lock")
    site("apply", "--yes")
    return versions


def killed(site: Operator, moment: str, number: int) -> None:
    words = ("-f", str(site.path), "model", "update", "assistant", "--yes")
    argv = [sys.executable, "-m", "tests.lab.killed", moment, str(number), *words]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, env=site.environment, timeout=300)
    assert done.returncode == -9, done.stderr
    site("lease", "break", "--yes", "--reason", "its machine lost power")


def elsewhere(site: Operator, folder: Path) -> Operator:
    """Return an operator on another machine, with what git has of the fleet's folder."""
    return Operator(
        Path(shutil.copytree(site.path.parent, folder, ignore=shutil.ignore_patterns("*.next"))) / site.path.name
    )


@pytest.mark.parametrize(("moment", "number", "verb"), EVERY if os.environ.get("EVERY_KILL") else SOME)
def test_another_operator_ends_the_rollout(
    model: Versions, lab: Lab, tmp_path: Path, moment: str, number: int, verb: str | None
) -> None:
    site, before = model.site, model.digest
    model.good(f"{moment} {number}")
    killed(site, moment, number)
    if verb is None:
        assert "no rollout is open" in site("rollout", "status").out
    else:
        other = elsewhere(site, tmp_path / "elsewhere")
        other("rollout", verb, "--yes")
        shutil.copy(other.path.with_name("test.lock"), site.path.with_name("test.lock"))
    assert (model.digest == before) == (verb != "resume")
    assert running(lab) == {model.digest[:16]}
    assert all_serve(site)
    assert "no rollout is open" in site("rollout", "status").out
