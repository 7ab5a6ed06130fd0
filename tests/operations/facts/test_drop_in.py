from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rackwright.operations.facts import drop_in as drop_ins
from rackwright.operations.facts.drop_in import Assignment, DropIns


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two roots; the first one hides files of the second."""
    found = tmp_path / "etc", tmp_path / "usr"
    for root in found:
        (root / "sysctl.d").mkdir(parents=True)
    monkeypatch.setattr(drop_ins, "_ROOTS", tuple(map(str, found)))
    return found


def asked(folder: str = "sysctl.d") -> tuple[Assignment, ...]:
    done = subprocess.run(["sh", "-c", DropIns().command(folder)], capture_output=True, text=True, check=True)
    return DropIns().process(done.stdout.splitlines())


def test_files_are_read_by_name_wherever_they_stand(roots: tuple[Path, Path]) -> None:
    etc, usr = roots
    (etc / "sysctl.d/60-a.conf").write_text("# a = 0\n;a = 0\n[Section]\na = 1\n\n-b=2=3")
    (usr / "sysctl.d/50-b.conf").write_text("a=5\n")
    (usr / "sysctl.d/90-c.conf").write_text("a=9\n")
    assert [(one.name, one.key, one.value) for one in asked()] == [
        ("50-b.conf", "a", "5"),
        ("60-a.conf", "a", "1"),
        ("60-a.conf", "-b", "2=3"),
        ("90-c.conf", "a", "9"),
    ]


def test_a_file_hides_those_of_its_name_even_when_it_is_empty(roots: tuple[Path, Path]) -> None:
    etc, usr = roots
    for name in ("10-a.conf", "20-b.conf"):
        (usr / "sysctl.d" / name).write_text("a=1\n")
    (etc / "sysctl.d/10-a.conf").symlink_to("/dev/null")
    (etc / "sysctl.d/20-b.conf").write_text("a=2\n")
    assert [(one.name, one.value) for one in asked()] == [("20-b.conf", "2")]


def test_where_there_are_none_nothing_is_set(roots: tuple[Path, Path]) -> None:
    assert asked() == ()
    assert asked("absent.d") == ()
