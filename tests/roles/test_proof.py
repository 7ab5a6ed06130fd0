"""The command of a proof, run by a real shell with a real process and a stand-in for an engine."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.launch import Task
from rackwright.roles.replica.answer import Answer
from rackwright.roles.replica.embedding import Embedding
from rackwright.roles.replica.proof import Seen, ask_command, parse, proof_command
from rackwright.roles.replica.question import Question, question
from rackwright.roles.replica.settings import Settings
from tests.roles.serving import REPLICA
from tests.stand_in_engine import stand_in_engine

ASKED = question(Task.GENERATE, "assistant")
SYSTEMCTL = """#!/bin/sh
echo "ActiveState=$ACTIVE"; echo "MainPID=$PID"
"""


class Here(Settings):
    """A replica whose runtime directory is a folder of the test."""

    run: str

    @property
    def socket(self) -> str:
        return f"{self.run}/engine.sock"

    @property
    def started_digest(self) -> str:
        return f"{self.run}/unit.sha256"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as running:
        yield running
        running.kill()


def look(settings: Settings, folder: Path, asked: Question | None, *, pid: int, active: str = "active") -> Seen:
    systemctl = folder / "bin/systemctl"
    systemctl.parent.mkdir(exist_ok=True)
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    environment = os.environ | {"PATH": f"{systemctl.parent}:{os.environ['PATH']}", "PID": str(pid), "ACTIVE": active}
    command = proof_command(settings, (f"{folder}/run time", f"{folder}/none"), asked)
    done = subprocess.run(["sh", "-c", command], capture_output=True, env=environment, timeout=120)
    return parse(done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def settings(tmp_path: Path) -> Here:
    (tmp_path / "run").mkdir()
    (tmp_path / "run time").mkdir()
    (tmp_path / "run time/.verified").write_text("d" * 64 + "\n")
    (tmp_path / "run/unit.sha256").write_text("a" * 64 + "  -\n")
    return Here(run=f"{tmp_path}/run", **REPLICA.model_dump())


def test_a_running_engine_shows_its_process_its_unit_its_folders_and_answers(
    settings: Here, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    with stand_in_engine(Path(settings.socket)) as engine:
        seen = look(settings, tmp_path, question(Task.GENERATE, "it's"), pid=process.pid)
    assert (seen.active, seen.runs, seen.started) == ("active", True, "a" * 64)
    assert seen.command == ("sleep", "60")
    assert Path(seen.program).is_absolute()
    assert seen.markers == {f"{tmp_path}/run time": "d" * 64, f"{tmp_path}/none": ""}
    assert isinstance(seen.answer, Answer)
    assert [token.text for token in seen.answer.tokens] == ["Red", "."]
    (asked,) = engine.requests
    assert (asked.target, json.loads(asked.body)["model"]) == ("/v1/completions", "it's")


def test_an_engine_for_embeddings_is_asked_for_one(
    settings: Here, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    with stand_in_engine(Path(settings.socket)) as engine:
        engine.answer = b'{"object": "list", "data": [{"index": 0, "embedding": [0.6, -0.8]}]}'
        seen = look(settings, tmp_path, question(Task.EMBED, "search"), pid=process.pid)
    assert seen.answer == Embedding(size=2, numbers=(0.6, -0.8))
    (asked,) = engine.requests
    assert (asked.target, json.loads(asked.body)["model"]) == ("/v1/embeddings", "search")


def test_one_that_does_not_run_is_not_asked(settings: Here, tmp_path: Path) -> None:
    with stand_in_engine(Path(settings.socket)) as engine:
        seen = look(settings, tmp_path, ASKED, pid=0, active="activating")
    assert (seen.active, seen.runs, seen.command, seen.answer) == ("activating", False, (), None)
    assert engine.requests == []


def test_a_member_that_does_not_answer_is_not_asked(
    settings: Here, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    with stand_in_engine(Path(settings.socket)) as engine:
        assert look(settings, tmp_path, None, pid=process.pid).command == ("sleep", "60")
    assert engine.requests == []


def test_without_a_socket_the_reason_is_curls(
    settings: Here, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    seen = look(settings, tmp_path, ASKED, pid=process.pid)
    assert (seen.runs, seen.answer) == (True, None)
    assert "curl: (7)" in seen.said


def test_an_engine_that_loads_says_so_in_place_of_an_answer(
    settings: Here, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    with stand_in_engine(Path(settings.socket)) as engine:
        engine.answer = b'{"error": {"message":\n "Loading model"}}'
        seen = look(settings, tmp_path, ASKED, pid=process.pid)
    assert (seen.answer, seen.said) == (None, '{"error": {"message": "Loading model"}}')


def test_an_answer_without_an_end_is_no_answer(
    settings: Here, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    with stand_in_engine(Path(settings.socket)) as engine:
        engine.endless = True
        seen = look(settings, tmp_path, ASKED, pid=process.pid)
    assert (seen.runs, seen.answer) == (True, None)
    assert "curl: (63)" in seen.said


@pytest.mark.parametrize("separator", ["\n", "\\n", "\r", "\x0b", "\u2028"])
def test_a_line_break_in_what_the_engine_chose_begins_no_line(settings: Here, tmp_path: Path, separator: str) -> None:
    program = tmp_path / f"x{separator}started={'b' * 64}"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([f"x{separator}started={'b' * 64}", "60"], executable=program) as running:
        seen = look(settings, tmp_path, None, pid=running.pid)
        running.kill()
    assert seen.started == "a" * 64
    assert seen.program == str(program).replace("\n", "?")


def test_a_served_name_stays_one_word_of_the_question() -> None:
    words = shlex.split(ask_command(REPLICA, question(Task.GENERATE, "it's")))
    assert json.loads(words[words.index("--data") + 1])["model"] == "it's"
