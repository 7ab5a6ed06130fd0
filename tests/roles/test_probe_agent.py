"""What the agent reports to the host proxy about the state that a probe wrote."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from rackwright.roles.probe import scripts
from rackwright.roles.probe.settings import Settings
from tests.roles.test_probe import PROBE


def answered(file: Path, settings: Settings = PROBE) -> str:
    """Return the agent's answer for the state in this file."""
    text = scripts.agent(settings).replace(f"{scripts.STATES}/{PROBE.replica}", str(file))
    return subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True).stdout.strip()


def uptime() -> int:
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))


def dated(file: Path, age: int) -> None:
    then = time.time() - age
    os.utime(file, (then, then))


@pytest.mark.parametrize(
    ("state", "age", "answer"),
    [
        ("ready", 0, "up"),
        ("busy", 0, "up"),
        ("loading", 0, "down"),
        ("hung", 0, "down"),
        ("faulted", 0, "down"),
        ("ready", 60, "down"),
    ],
)
@pytest.mark.parametrize("stepped", [0, 3600, -3600], ids=["", "the clock went back", "the clock went on"])
def test_the_agent_says_up_for_fresh_ready_and_busy_alone(
    tmp_path: Path, state: str, age: int, answer: str, stepped: int
) -> None:
    """Also if the clock was set since: otherwise a dead probe's last state would count for an hour."""
    file = tmp_path / "state"
    file.write_text(f"state={state}\nlooked={uptime() - age}\n")
    dated(file, age - stepped)
    assert answered(file) == answer


@pytest.mark.parametrize(("age", "answer"), [(0, "up"), (60, "down")])
def test_a_state_that_an_older_probe_wrote_is_as_old_as_its_file(tmp_path: Path, age: int, answer: str) -> None:
    """Otherwise an apply that brings the new scripts would take every replica out until its probe runs again."""
    file = tmp_path / "state"
    file.write_text("state=ready\n")
    dated(file, age)
    assert answered(file) == answer


def test_without_a_state_the_agent_says_down(tmp_path: Path) -> None:
    assert answered(tmp_path / "state") == "down"


@pytest.mark.parametrize(("reason", "answer"), [("", "up"), ("gpu2 doesn't answer", "down")])
def test_the_agent_takes_a_replica_out_whose_replica_group_misses_a_member(
    tmp_path: Path, reason: str, answer: str
) -> None:
    (tmp_path / "state").write_text("state=ready\n")
    (tmp_path / "group").write_text(f"seen=a\nreason={reason}\n")
    bound = PROBE.model_copy(update={"group_file": str(tmp_path / "group")})
    assert answered(tmp_path / "state", bound) == answer
