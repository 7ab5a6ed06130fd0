"""rackwright's own wheel: whatever machine packs it, the same files make the same bytes, and pip installs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import rackwright
from rackwright import own_wheel as module
from rackwright.errors import RackwrightError
from rackwright.own_wheel import own_digest, own_requirements, own_version, own_wheel

CACHED = (own_digest, own_requirements, module._packed)


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the cache of this machine out, and forget what was computed of other files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for one in CACHED:
        one.cache_clear()
    yield
    for one in CACHED:
        one.cache_clear()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small program instead of rackwright's own files."""
    folder = tmp_path / "program"
    (folder / "cli").mkdir(parents=True)
    (folder / "__init__.py").write_text("one = 1\n")
    (folder / "cli" / "text.j2").write_text("{{ two }}\n")
    monkeypatch.setattr(module, "_PACKAGE", folder)
    return folder


def again() -> str:
    for one in CACHED:
        one.cache_clear()
    return own_version()


def names() -> list[str]:
    path = own_wheel().local
    assert path
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_the_version_has_the_beginning_of_the_digest(program: Path) -> None:
    assert own_version() == f"{rackwright.__version__}+{own_digest()[:8]}"


def test_the_same_files_make_the_same_bytes_anywhere(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = own_wheel()
    other = tmp_path / "elsewhere"
    other.mkdir()
    # Another order on the disk, other times and modes.
    (other / "cli").mkdir(mode=0o700)
    (other / "cli" / "text.j2").write_text("{{ two }}\n")
    (other / "__init__.py").write_text("one = 1\n")
    (other / "__init__.py").chmod(0o755)
    os.utime(other / "__init__.py", (1, 1))
    monkeypatch.setattr(module, "_PACKAGE", other)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    again()
    second = own_wheel()
    assert (second.path, second.sha256, second.size) == (first.path, first.sha256, first.size)
    assert second.url != first.url


def test_the_order_of_a_folder_changes_nothing(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, scan = own_wheel().sha256, os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: sorted(scan(path), key=lambda entry: entry.name, reverse=True))
    again()
    assert own_wheel().sha256 == before
    monkeypatch.setattr(os, "scandir", lambda path: sorted(scan(path), key=lambda entry: entry.name))
    again()
    assert own_wheel().sha256 == before


@pytest.mark.parametrize(
    ("path", "text"), [("__init__.py", "one = 2\n"), ("cli/text.j2", "{{ three }}\n"), ("cli/new.py", "")]
)
def test_another_file_is_another_version(program: Path, path: str, text: str) -> None:
    before = own_version()
    (program / path).write_text(text)
    assert again() != before


def test_a_moved_file_is_another_version(program: Path) -> None:
    before = own_version()
    (program / "cli" / "text.j2").rename(program / "text.j2")
    assert again() != before


def test_another_requirement_is_another_version(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = own_version()
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["click>=9"])
    assert again() != before


def test_what_is_not_the_program_changes_nothing(program: Path) -> None:
    before, files = own_version(), names()
    (program / "__pycache__").mkdir()
    (program / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"x")
    (program / ".text.j2.swp").write_bytes(b"x")
    (program / "cli" / "text.j2~").write_bytes(b"x")
    assert again() == before
    assert names() == files


def test_links_are_followed(program: Path, tmp_path: Path) -> None:
    (tmp_path / "roles" / "one").mkdir(parents=True)
    (tmp_path / "roles" / "one" / "role.py").write_text("")
    (program / "roles").symlink_to(tmp_path / "roles")
    again()
    assert "rackwright/roles/one/role.py" in names()


def test_requirements_have_one_form(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "importlib.metadata.requires",
        lambda name: ["Ruamel.YAML (>=0.18)", "httpx2 <3, >=2", 'a[b] >= 1 ; python_version < "3.12"'],
    )
    again()
    assert own_requirements() == ('a[b]>=1; python_version < "3.12"', "httpx2<3,>=2", "ruamel-yaml>=0.18")
    path = own_wheel().local
    assert path
    with zipfile.ZipFile(path) as archive:
        about = archive.read(f"rackwright-{own_version()}.dist-info/METADATA").decode()
    assert [line for line in about.splitlines() if line.startswith("Requires-Dist")] == [
        f"Requires-Dist: {line}" for line in own_requirements()
    ]


def test_a_checkout_that_is_not_installed_says_so(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NAME", "no-such-package-of-ours")
    with pytest.raises(RackwrightError, match="isn't installed as a package"):
        again()


def test_files_that_change_while_it_runs_are_refused(program: Path) -> None:
    own_version()
    (program / "__init__.py").write_text("one = 2\n")
    with pytest.raises(RackwrightError, match="own files have changed"):
        own_wheel()


def test_a_damaged_copy_in_the_cache_is_replaced_and_an_old_one_removed(program: Path) -> None:
    made = own_wheel()
    assert made.local
    made.local.write_bytes(b"damaged")
    recent, old = (made.local.with_name(f"rackwright-{name}-py3-none-any.whl") for name in ("recent", "old"))
    for path in (recent, old):
        path.write_bytes(b"")
    os.utime(old, (time.time() - 8 * 86400,) * 2)
    assert own_wheel() == made
    assert made.local.stat().st_size == made.size
    assert sorted(path.name for path in made.local.parent.iterdir()) == sorted([made.path, recent.name])


def test_a_cache_that_cannot_be_written_is_an_error(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(RackwrightError, match="can't be written: Not a directory"):
        own_wheel()


def test_pip_installs_it_and_there_it_is_the_same_version(tmp_path: Path) -> None:
    """The real program: an installed one has the version and the wheel of the checkout."""
    made = own_wheel()
    target = tmp_path / "site"
    words = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", f"--target={target}"]
    subprocess.run([*words, str(made.local)], check=True, env={**os.environ, "PYTHONPATH": ""})
    assert (target / "rackwright" / "roles" / "etcd" / "templates" / "ctl.sh.j2").is_file()
    assert (target / "rackwright" / "deploys" / "site.py").is_file()
    ask = (
        "import json; from rackwright import own_wheel as o; made = o.own_wheel(); "
        "print(json.dumps([o.__file__, made.path, made.sha256]))"
    )
    said = subprocess.run(
        [sys.executable, "-c", ask],
        env={**os.environ, "PYTHONPATH": str(target), "XDG_CACHE_HOME": str(tmp_path / "there")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    where, path, sha256 = json.loads(said.stdout)
    assert Path(where).is_relative_to(target)
    assert (path, sha256) == (made.path, made.sha256)
