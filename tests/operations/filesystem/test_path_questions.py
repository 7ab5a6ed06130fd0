"""A question about many paths gives the same answers as one question per path. The host is this machine."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from rackwright.operations.filesystem.path_questions import ManyPaths, PathQuestion

OTHER = sha256(b"other").hexdigest()


def run(command: str) -> str:
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout


def together(*questions: PathQuestion) -> dict[str, str]:
    many = ManyPaths.among(["true", *(question.command for question in questions), "date"])
    assert len(many.questions) == len(questions)
    return dict(many.answers(run(many.command)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    return tmp_path


def test_each_answer_is_the_one_that_asking_singly_gives(folder: Path) -> None:
    names = ("file", "none", "empty", "folder", "link", "dangling", "file")
    questions = [PathQuestion(str(folder / name)) for name in names]
    questions += [PathQuestion(str(folder / "file"), sha256(b"content").hexdigest())]
    questions += [PathQuestion(str(folder / name), OTHER) for name in ("none", "folder", "link")]
    answers = together(*questions)
    assert answers == {question.command: run(question.command) for question in questions}
    assert len(answers) == len(set(questions))


def test_where_nothing_stands_at_all_nothing_is_said(folder: Path) -> None:
    gone = [PathQuestion(str(folder / name)) for name in ("a", "b")]
    assert together(*gone) == {question.command: "" for question in gone}


def test_a_file_that_is_another_is_asked_for_singly(folder: Path) -> None:
    same, differs = PathQuestion(str(folder / "file")), PathQuestion(str(folder / "file"), OTHER)
    assert set(together(differs, same)) == {same.command}


def test_a_file_that_went_between_its_state_and_its_sum_is_asked_for_singly(folder: Path) -> None:
    question = PathQuestion(str(folder / "file"))
    many = ManyPaths.among([question.command])
    states, _, _ = run(many.command).partition("\n\n")
    assert many.answers(f"{states}\n\n") == {}


@pytest.mark.parametrize("name", ["a b", "a'b", "a\nb", "a\\b", "a|b", "ä", "a;b", "$HOME"])
def test_a_name_that_could_be_misread_is_asked_for_singly(folder: Path, name: str) -> None:
    assert not ManyPaths.among([PathQuestion(str(folder / name), OTHER).command]).questions


def test_what_only_begins_like_a_question_is_none() -> None:
    command = PathQuestion("/etc/hosts").command
    for changed in (f"{command}; reboot", command.replace("stat", "start"), command[2:], f"f=/etc/hosts; {command}"):
        assert not ManyPaths.among([changed]).questions
