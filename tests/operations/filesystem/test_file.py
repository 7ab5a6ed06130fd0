from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.filesystem.file import Content, checked_file, kept_file
from rackwright.values.secrets import Secret
from tests.fakes import Played, play


def file(content: bytes, mode: int = 0o644, *, readable: bool = True) -> Found:
    sha256 = hashlib.sha256(content).hexdigest()
    return Found("regular file", mode, "root", "root", sha256, content if readable else None)


def write(found: Found | None, content: Content, **more: object) -> Played:
    def role() -> None:
        checked_file(name="Write", path="/etc/x", content=content, **more)  # type: ignore[arg-type]

    return play(role, facts={PathState: found})


def test_the_same_content_mode_and_owner_change_nothing() -> None:
    assert write(file(b"a\n"), "a\n").commands == []


def test_new_content_is_checked_under_another_name_and_then_renamed() -> None:
    played = write(file(b"a\n"), "b\n", check="haproxy -c -f {path}", mode="0640", group="adm")
    upload, shell = played.commands
    assert upload == "upload /etc/x.rackwright-new"
    assert played.uploads == {"/etc/x.rackwright-new": "b\n"}
    steps = ["chown -- root:adm", "chmod -- 0640", "haproxy -c -f /etc/x.rackwright-new", "mv -fT --", "rm -f --"]
    assert [shell.index(step) for step in steps] == sorted(shell.index(step) for step in steps)
    assert played.diffs == {"Write": "--- /etc/x\n+++ /etc/x\n@@ -1 +1 @@\n-a\n+b"}


def test_a_folder_of_the_systems_is_made_only_with_its_file() -> None:
    assert write(None, "b\n", folder=True).commands[0] == "mkdir -p -- /etc"
    assert write(file(b"a\n"), "a\n", folder=True).commands == []


def test_another_mode_alone_is_set_without_writing() -> None:
    played = write(file(b"a\n", 0o600), "a\n")
    assert played.commands == ["chown -- root:root /etc/x && chmod -- 0644 /etc/x"]
    assert played.diffs == {"Write": "/etc/x: 0600 root:root becomes 0644 root:root"}


def test_a_secret_is_shown_nowhere() -> None:
    played = write(file(b"old secret", readable=False), Secret("new secret"))
    assert played.diffs == {"Write": "content differs"}
    assert "secret" not in " ".join(played.commands)
    assert write(file(b"new secret", readable=False), Secret("new secret")).commands == []


def test_a_secret_is_never_read_back() -> None:
    asked = []

    class Asked(dict[object, object]):
        def __contains__(self, key: object) -> bool:
            asked.append(key)
            return super().__contains__(key)

    def role() -> None:
        checked_file(name="Write", path="/etc/x", content=b"bytes", secret=True)

    play(role, facts=Asked({PathState: None}))
    assert (PathState, "/etc/x", None) in asked


def test_a_new_file_is_all_additions() -> None:
    assert write(None, "a\n").diffs["Write"].startswith("--- /dev/null\n+++ /etc/x\n")


def test_what_is_no_text_is_not_shown_as_text() -> None:
    assert write(file(b"\xff"), "a\n").diffs == {"Write": "/etc/x: binary content differs"}


def test_line_ends_alone_are_a_difference() -> None:
    assert write(file(b"a"), "a\n").diffs == {"Write": "/etc/x: line ends differ"}


def test_a_link_is_replaced() -> None:
    played = write(Found("symbolic link", 0o777, "root", "root"), "a\n")
    assert len(played.commands) == 2
    assert played.diffs == {"Write": "/etc/x: symbolic link is replaced"}


@pytest.mark.parametrize(("check", "after"), [("grep -q new {path}", "new\n"), ("grep -q absent {path}", "old\n")])
def test_the_shell_renames_what_passes_and_removes_what_does_not(tmp_path: Path, check: str, after: str) -> None:
    target = tmp_path / "it's $x"
    target.write_text("old\n")
    Path(f"{target}.rackwright-new").write_text("new\n")
    owner, group = (str(number) for number in (os.getuid(), os.getgid()))

    def role() -> None:
        checked_file(name="Write", path=str(target), content="new\n", check=check, user=owner, group=group)

    shell = play(role, facts={PathState: file(b"old\n")}).commands[1]
    done = subprocess.run(["sh", "-c", shell], check=False)
    assert (done.returncode == 0) == (after == "new\n")
    assert target.read_text() == after
    assert list(tmp_path.iterdir()) == [target]


def test_a_kept_file_is_made_empty_once() -> None:
    def role() -> None:
        kept_file(name="Keep", path="/var/log/x", mode="0640", group="adm")

    assert play(role, facts={PathState: None}).commands == ["install -m 0640 -o root -g adm -- /dev/null /var/log/x"]
    kept = Found("regular file", 0o640, "root", "adm", "0" * 64)
    assert play(role, facts={PathState: kept}).commands == []
