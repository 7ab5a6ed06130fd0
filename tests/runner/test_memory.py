from __future__ import annotations

import json
import stat
from pathlib import Path

from rackwright.runner.questions import QuestionMemory
from rackwright.values.base import Frozen


class Settings(Frozen):
    port: int


def test_what_was_asked_is_recalled_for_the_same_host_deploy_and_settings(tmp_path: Path) -> None:
    memory = QuestionMemory("v1", tmp_path)
    memory.remember("site", "gpu1", Settings(port=1), ["a", "b"])
    memory.remember("site", "gpu1", Settings(port=2), ["c"])
    assert QuestionMemory("v1", tmp_path).recall("site", "gpu1", Settings(port=1)) == ("a", "b")


def test_a_host_with_new_settings_is_asked_what_it_was_asked_before(tmp_path: Path) -> None:
    memory = QuestionMemory("v1", tmp_path)
    memory.remember("site", "gpu1", Settings(port=1), ["own"])
    memory.remember("site", "gpu2", Settings(port=1), ["sibling's"])
    assert memory.recall("site", "gpu1", Settings(port=9)) == ("own",)


def test_a_new_host_is_asked_what_a_sibling_was(tmp_path: Path) -> None:
    memory = QuestionMemory("v1", tmp_path)
    memory.remember("site", "gpu1", None, ["a"])
    assert memory.recall("site", "gpu2", None) == ("a",)


def test_another_version_of_the_tool_knows_nothing(tmp_path: Path) -> None:
    QuestionMemory("v1", tmp_path).remember("site", "gpu1", None, ["a"])
    assert QuestionMemory("v2", tmp_path).recall("site", "gpu1", None) == ()


def test_a_deploys_first_run_asks_the_host_what_another_one_did(tmp_path: Path) -> None:
    memory = QuestionMemory("v1", tmp_path)
    memory.remember("site", "gpu1", None, ["a"])
    assert memory.recall("told", "gpu1", None) == ("a",)
    assert memory.recall("told", "gpu2", None) == ()
    memory.remember("told", "gpu2", None, ["sibling's"])
    assert memory.recall("told", "gpu1", None) == ("sibling's",)


def test_files_are_for_their_owner_only_and_hold_questions_only(tmp_path: Path) -> None:
    QuestionMemory("v1", tmp_path / "deep").remember("site", "gpu1", None, ["cat /etc/os-release"])
    (file,) = (tmp_path / "deep").rglob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"format": "questions/1", "questions": ["cat /etc/os-release"]}


def test_a_damaged_or_newer_file_counts_as_none(tmp_path: Path) -> None:
    memory = QuestionMemory("v1", tmp_path)
    memory.remember("site", "gpu1", None, ["a"])
    (file,) = tmp_path.rglob("*.json")
    for content in ('{"format": "questions/1", "quest', '{"format": "questions/2", "questions": ["a"]}', "[]", "\0"):
        file.write_text(content)
        assert memory.recall("site", "gpu1", None) == ()


def test_a_folder_that_cannot_be_written_costs_only_the_speed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = QuestionMemory("v1", tmp_path / "file")
    memory.remember("site", "gpu1", None, ["a"])
    assert memory.recall("site", "gpu1", None) == ()


def test_a_file_that_another_process_removes_meanwhile_counts_as_none(tmp_path: Path) -> None:
    memory = QuestionMemory("v1", tmp_path)
    memory.remember("site", "gpu1", None, ["a"])
    (file,) = tmp_path.rglob("*.json")
    file.unlink()
    file.symlink_to(tmp_path / "gone")
    assert memory.recall("site", "gpu2", None) == ()


def test_the_memory_stays_small(tmp_path: Path) -> None:
    memory = QuestionMemory("v1", tmp_path)
    for number in range(300):
        memory.remember("site", f"gpu{number}", None, ["a"])
    assert len(list(tmp_path.rglob("*.json"))) == 256


def test_the_roles_text_is_part_of_what_the_questions_belong_to(tmp_path: Path) -> None:
    memory = QuestionMemory(folder=tmp_path)
    memory.remember("site", "gpu1", None, ["a"])
    assert QuestionMemory(folder=tmp_path).recall("site", "gpu1", None) == ("a",)
    assert QuestionMemory("other roles", tmp_path).recall("site", "gpu1", None) == ()
