from __future__ import annotations

import os
import subprocess
from pathlib import Path
from shlex import quote

from rackwright.lifecycle.survey import CONNECTED_COMMAND, _script, _surveyed
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
    output = seen_from(_script("mark", ("root",)), PATH=f"{tmp_path}:{os.environ['PATH']}")
    surveyed = _surveyed(output, "mark")
    assert surveyed.hardware.report == hardware("h100").report
    assert surveyed.hardware.memory > 0
    assert "root" in surveyed.people.by_name
