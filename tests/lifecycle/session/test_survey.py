from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from shlex import quote
from types import SimpleNamespace
from typing import cast

import pytest

from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import CONNECTED_COMMAND, Survey, batch_of, survey, surveyed_of
from rackwright.remote.completed import Completed
from tests.hardware.outputs import FOLDER, hardware


def seen_from(shell: str, **environment: str) -> str:
    done = subprocess.run(
        ["sh", "-c", shell],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout


def test_the_address_is_found_above_a_command_from_which_sudo_took_it():
    inner = f"env -u SSH_CONNECTION sh -c {quote(CONNECTED_COMMAND)}; :"
    assert seen_from(inner, SSH_CONNECTION="192.0.2.7 50000 192.0.2.1 22") == "192.0.2.7 192.0.2.1\n"


def test_without_ssh_or_a_process_that_is_gone_the_search_ends():
    gone = CONNECTED_COMMAND.replace("p=$$", "p=4194304", 1)
    assert gone != CONNECTED_COMMAND
    assert seen_from(gone) == ""


def test_the_hardware_comes_with_the_survey_and_moves_no_other_part(tmp_path: Path):
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\ncat {FOLDER}/h100.xml\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    batch = batch_of(("root",))
    output = seen_from(batch.script, PATH=f"{tmp_path}:{os.environ['PATH']}")
    surveyed = surveyed_of(batch.whole(output.encode()), "gpu1")
    assert surveyed.hardware.report == hardware("h100").report
    assert surveyed.hardware.memory > 0
    assert "root" in surveyed.people.by_name


class Remote:
    """Runs the look on this machine; `killed_after`: after that many parts the shell ends."""

    def __init__(self, killed_after: int | None = None, **environment: str) -> None:
        self.killed_after, self.environment = killed_after, environment

    def run_on(self, names: tuple[str, ...], commands: dict[str, str], **_: int) -> dict[str, Completed]:
        return {name: self.run(commands[name]) for name in names}

    def run(self, command: str) -> Completed:
        if self.killed_after is not None:
            lines = command.splitlines()
            first = next(number for number, line in enumerate(lines) if line.startswith("(eval "))
            ends = [number + 1 for number, line in enumerate(lines) if re.search(r"; f \d+ \"\$\?\"$", line)]
            last = [first, *ends][self.killed_after]
            command = "\n".join([*lines[:last], "kill -KILL $$", "}"])
        done = subprocess.run(
            ["sh", "-c", command],
            capture_output=True,
            timeout=120,
            env={**os.environ, **self.environment},
            check=False,
        )
        return Completed(done.returncode, done.stdout, done.stderr, "gate1")


def surveyed(remote: Remote) -> Survey:
    models = {"gate1": SimpleNamespace(people=SimpleNamespace(names=("root",)))}
    return survey(cast(Session, SimpleNamespace(hosts=models, remote=remote)))


def test_a_host_that_was_looked_at_to_the_end_is_known():
    found = surveyed(Remote())
    assert (found.unreachable, set(found.hosts)) == ({}, {"gate1"})


@pytest.mark.parametrize(
    ("parts", "missing"),
    [(0, "ours before"), (4, "replicas"), (7, "drains"), (11, "control"), (12, "kit"), (14, "left"), (16, "people")],
)
def test_a_look_that_was_killed_midway_is_not_taken_for_a_host_that_has_nothing(parts, missing):
    found = surveyed(Remote(killed_after=parts))
    assert (found.unreachable, found.hosts) == ({"gate1": f"the survey stopped at: {missing}"}, {})


def test_nor_is_one_of_which_a_part_was_killed(tmp_path: Path):
    (tmp_path / "ss").write_text("#!/bin/sh\nkill -KILL $PPID\n")
    (tmp_path / "ss").chmod(0o755)
    found = surveyed(Remote(PATH=f"{tmp_path}:{os.environ['PATH']}"))
    assert found.unreachable == {"gate1": "the survey stopped at: listening"}
