"""wheels.sh, run for real, as root, with wheels of a few bytes: in folders of this file only.

One environment is made from scratch, by the system's Python. The other tests start from copies of an empty one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from rackwright.operations.facts.stored_folder import Marker
from rackwright.operations.filesystem.wheels import INSTALL, wheels_installed
from rackwright.values.file import File
from tests.fakes import play
from tests.stand_in_index import Wheel, wheel

PYTHON = "/usr/bin/python3"
"""The system's Python, as on a host: the user nobody can run it."""
PROGRAM = "#!python\nimport tiny; print(tiny.tag)\n"
TINY = wheel("tiny", "1.0", files={"tiny/__init__.py": "tag = 1\n", "tiny-1.0.data/scripts/tiny": PROGRAM})
NEEDY = wheel("needy", "2.0", needs=["not-there"], files={"needy/__init__.py": "import tiny\ntag = tiny.tag + 1\n"})
BROKEN = wheel("tiny", "1.1", files={"tiny/__init__.py": "raise ImportError('libtiny.so is missing')\n"})
DIGEST = "d" * 64

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root and imports as nobody")


@dataclass(frozen=True)
class Host:
    root: Path
    python: str = PYTHON

    @property
    def folder(self) -> Path:
        return self.root / "runtimes" / "tiny-1.0"

    @property
    def incoming(self) -> Path:
        return self.root / "runtimes" / ".incoming"

    def install(
        self, *wheels: Wheel, module: str = "tiny", digest: str = DIGEST, python: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        self.incoming.mkdir(parents=True, exist_ok=True)
        words = [python or self.python, str(self.incoming), str(self.folder), digest, module]
        for one in wheels:
            (self.incoming / f"{one.sha256}.verified").write_bytes(one.content)
            words += [one.sha256, one.name]
        # Settings that would misdirect pip if it followed them.
        around = {**os.environ, "PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PYTHONPATH": "/nonexistent"}
        return subprocess.run(
            ["sh", "-c", INSTALL, "wheels", *words], capture_output=True, text=True, check=False, env=around
        )

    def says(self, code: str) -> str:
        command = [str(self.folder / "bin" / "python"), "-I", "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder directly below /tmp: the user nobody can't enter pytest's own folders."""
    with tempfile.TemporaryDirectory(prefix="rackwright-wheels-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture(scope="module")
def empty() -> Iterator[Path]:
    """A folder with a copy of an environment that has only pip."""
    with shared_folder() as folder:
        yield folder / "empty"


@pytest.fixture(scope="module")
def installed(empty: Path) -> Iterator[Host]:
    """A host on which TINY and NEEDY were installed from scratch. Tests only read it."""
    with shared_folder() as folder:
        host = Host(folder, program(folder / "python3", f'{PYTHON} "$@" && exec cp -a -- "$5" {empty}'))
        done = host.install(TINY, NEEDY, module="tiny, needy")
        assert (done.returncode, done.stderr) == (0, "")
        yield host


@pytest.fixture(scope="module")
def copying_python(installed: Host, empty: Path) -> str:
    """A stand-in for an interpreter: it answers `-m venv` with a copy of the empty environment."""
    text = f'[ "$1 $2 $3 $4" = "-I -m venv --" ] && exec cp -al -- {empty} "$5"'
    return program(empty.parent / "python3", text)


@pytest.fixture
def host_again(installed: Host, copying_python: str) -> Iterator[Host]:
    """A copy of the host on which TINY and NEEDY were installed."""
    with shared_folder() as folder:
        shutil.copytree(installed.root, folder, symlinks=True, dirs_exist_ok=True)
        yield Host(folder, copying_python)


@pytest.fixture
def host(copying_python: str) -> Iterator[Host]:
    with shared_folder() as folder:
        yield Host(folder, copying_python)


def test_a_folder_is_an_environment_with_these_wheels_and_no_installer(installed: Host) -> None:
    assert installed.says("import needy; print(needy.tag, needy.__file__)") == (
        f"2 {next(installed.folder.glob('lib/python3*/site-packages'))}/needy/__init__.py"
    )
    assert installed.says("import importlib.util as u; print(u.find_spec('pip'))") == "None"
    assert (installed.folder / ".verified").read_text() == f"{DIGEST}\n"
    assert sorted(path.name for path in installed.folder.parent.iterdir()) == [".incoming", "tiny-1.0"]
    assert list(installed.incoming.iterdir()) == []


def test_nobody_but_root_could_have_written_it_and_nobody_can(installed: Host) -> None:
    for path in (installed.folder, *installed.folder.rglob("*")):
        found = path.lstat()
        assert (found.st_uid, found.st_gid) == (0, 0), path
        assert path.is_symlink() or found.st_mode & 0o222 == 0, path
        assert path.is_symlink() or found.st_mode & 0o044 == 0o044, path
    assert list(installed.folder.rglob("tiny/__pycache__/*.pyc"))


def test_its_programs_run_by_the_interpreter_where_it_stands(installed: Host) -> None:
    program = installed.folder / "bin" / "tiny"
    assert program.read_text().splitlines()[0] == f"#!{installed.folder}/bin/python"
    assert subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout == "1\n"


def test_what_cannot_be_imported_leaves_what_stood_there_and_its_wheels(host_again: Host) -> None:
    done = host_again.install(BROKEN, digest="e" * 64)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{host_again.folder}: tiny can't be imported: ")
    assert "libtiny.so is missing" in done.stderr
    assert host_again.says("import tiny; print(tiny.tag)") == "1"
    assert (host_again.folder / ".verified").read_text() == f"{DIGEST}\n"
    assert sorted(path.name for path in host_again.folder.parent.iterdir()) == [".incoming", "tiny-1.0"]
    assert [path.name for path in host_again.incoming.iterdir()] == [f"{BROKEN.sha256}.verified"]


def test_a_folder_of_other_wheels_is_replaced_as_a_whole(host_again: Host) -> None:
    newer = wheel("tiny", "1.1", files={"tiny/__init__.py": "tag = 11\n"})
    assert host_again.install(newer, digest="e" * 64).returncode == 0
    assert host_again.says("import tiny; print(tiny.tag)") == "11"
    assert host_again.says("import importlib.util as u; print(u.find_spec('needy'))") == "None"
    assert sorted(path.name for path in host_again.folder.parent.iterdir()) == [".incoming", "tiny-1.0"]


def test_what_an_interrupted_run_left_does_not_block_the_next(host: Host) -> None:
    for left in ("partial", "wheels", "damaged"):
        (host.folder.parent / f"tiny-1.0.{left}").mkdir(parents=True)
        (host.folder.parent / f"tiny-1.0.{left}" / NEEDY.name).write_bytes(NEEDY.content)
    assert host.install(TINY).returncode == 0
    assert host.install(TINY).returncode == 0
    assert host.says("import importlib.util as u; print(u.find_spec('needy'))") == "None"
    assert sorted(path.name for path in host.folder.parent.iterdir()) == [".incoming", "tiny-1.0"]


def test_modules_are_imported_as_nobody(host: Host) -> None:
    curious = wheel("tiny", "1.0", files={"tiny/__init__.py": "import os\nraise ImportError(f'uid {os.getuid()}')\n"})
    nobody = subprocess.run(["id", "-u", "nobody"], capture_output=True, text=True, check=True).stdout.strip()
    assert f"uid {nobody}" in host.install(curious).stderr


def test_an_interpreter_that_is_not_there_is_named_before_anything_is_made(host: Host) -> None:
    done = host.install(TINY, python="/usr/bin/python3.99")
    assert (done.returncode, done.stderr) == (
        1,
        f"{host.folder}: no /usr/bin/python3.99 on this host; install it, or set python: "
        "in the fleet file to another interpreter\n",
    )
    assert not host.folder.exists()


def test_the_operation_hands_over_every_wheel_and_does_nothing_to_its_own_result() -> None:
    wheels = tuple(
        File(path=one.name, size=len(one.content), sha256=one.sha256, url=f"file:///w/{one.name}")
        for one in (TINY, NEEDY)
    )

    def role() -> None:
        wheels_installed(
            name="Install",
            python="/usr/bin/python3.13",
            wheels=wheels,
            root="/opt/run times",
            folder="/opt/run times/tiny-1",
            digest=DIGEST,
            module="tiny",
        )

    (command,) = play(role, facts={Marker: "e" * 64}).commands
    assert "'/opt/run times/.incoming' '/opt/run times/tiny-1'" in command
    assert command.endswith(f"{TINY.sha256} {TINY.name} {NEEDY.sha256} {NEEDY.name}")
    assert play(role, facts={Marker: DIGEST}).changed == []
