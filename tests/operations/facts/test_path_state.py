from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from rackwright.operations.facts.path_state import Existing, Found, PathState
from rackwright.operations.filesystem.path_questions import CONTENT_LIMIT

OTHER = hashlib.sha256(b"other").hexdigest()


def asked(path: Path, *, unless: str | None = None) -> Found | None:
    """Ask this machine the way a host is asked."""
    done = subprocess.run(
        ["sh", "-c", PathState().command(str(path), unless)], capture_output=True, text=True, check=True
    )
    return PathState().process(done.stdout.splitlines()) if done.stdout else None


def test_a_file_is_told_with_its_hash_and_its_content(tmp_path: Path) -> None:
    path = tmp_path / "it's $HOME"
    path.write_bytes(b"a\x00b")
    path.chmod(0o640)
    found = asked(path, unless=OTHER)
    assert found is not None
    assert (found.is_file, found.mode, found.content) == (True, 0o640, b"a\x00b")
    assert found.sha256 == hashlib.sha256(b"a\x00b").hexdigest()


def test_an_empty_file_has_empty_content(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    found = asked(tmp_path / "empty", unless=OTHER)
    assert found is not None
    assert (found.is_file, found.content) == (True, b"")


def test_the_content_is_read_only_when_asked_for_and_not_too_long(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * CONTENT_LIMIT)
    plain, whole = asked(path), asked(path, unless=OTHER)
    assert plain is not None
    assert whole is not None
    assert plain.content is None
    assert whole.content == b"x" * CONTENT_LIMIT
    path.write_bytes(b"x" * (CONTENT_LIMIT + 1))
    longer = asked(path, unless=OTHER)
    assert longer is not None
    assert longer.content is None
    assert longer.sha256


def test_the_content_is_not_read_where_it_is_as_it_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"same")
    found = asked(tmp_path / "file", unless=hashlib.sha256(b"same").hexdigest())
    assert found is not None
    assert (found.content, found.sha256) == (None, hashlib.sha256(b"same").hexdigest())


def test_nothing_folders_and_links_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    assert asked(tmp_path / "none") is None
    for name, kind in (("folder", "directory"), ("link", "symbolic link")):
        found = asked(tmp_path / name, unless=OTHER)
        assert found is not None
        assert (found.kind, found.is_file, found.sha256) == (kind, False, None)


def test_existing_paths_are_listed_dangling_links_too(tmp_path: Path) -> None:
    (tmp_path / "a b").touch()
    (tmp_path / "link").symlink_to("nowhere")
    paths = tuple(str(tmp_path / name) for name in ("a b", "link", "none"))
    done = subprocess.run(["sh", "-c", Existing().command(paths)], capture_output=True, text=True, check=True)
    assert Existing().process(done.stdout.splitlines()) == paths[:2]
