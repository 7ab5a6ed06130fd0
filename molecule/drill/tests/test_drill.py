"""After the drill: the evidence is sound, the scratch hosts are empty, and production was left alone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

FLEET = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "fleet"
BIN = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / ".venv/bin"


def rackwright(*words: str) -> subprocess.CompletedProcess[str]:
    home = {"XDG_CONFIG_HOME": str(FLEET / "config"), "XDG_CACHE_HOME": str(FLEET / "cache")}
    return subprocess.run(
        [str(BIN / "rackwright"), *words], capture_output=True, text=True, env=os.environ | home, check=False
    )


@pytest.fixture(scope="module")
def report() -> dict:
    (path,) = (one for one in (FLEET / "test.drills").glob("*.json") if "draft" not in one.name)
    return json.loads(path.read_text())


def test_the_evidence_is_verified_offline():
    done = rackwright("drill", "verify", str(FLEET / "test.drills"), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["sound"]


def test_all_hosts_were_covered_within_the_objectives(report):
    assert [one["host"] for one in report["facts"]["assets"]["covered"]] == ["gate1", "gpu1", "gpu2"]
    assert report["facts"]["assets"]["not_covered"] == []
    assert 0 < report["conclusion"]["rto_s"] < report["facts"]["policy"]["rto_s"]
    assert 0 < report["conclusion"]["rpo_s"] < report["facts"]["policy"]["rpo_s"]


def test_the_fleet_itself_is_unchanged():
    planned = rackwright("-f", str(FLEET / "test.yml"), "plan", "--check", "--json")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert rackwright("-f", str(FLEET / "test.yml"), "verify").returncode == 0


def test_nothing_is_left_on_the_scratch_hosts():
    done = rackwright("-f", str(FLEET / "test.yml"), "drill", "clean", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["wiped"] == []
