"""wheels.sh run for real, as root, with wheels of a few bytes: in folders of this test alone."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rackwright.operations.facts.stored import Marker
from rackwright.operations.wheels import INSTALL, wheels_installed
from rackwright.values import File
from tests.fakes import play
from tests.stand_in_index import Wheel, wheel

PYTHON = "/usr/bin/python3"
"""The system's, as on a host: nobody may run it."""
PROGRAM = "#!python\nimport tiny; print(tiny.tag)\n"
TINY = wheel("tiny", "1.0", files={"tiny/__init__.py": "tag = 1\n", "tiny-1.0.data/scripts/tiny": PROGRAM})
NEEDY = wheel("needy", "2.0", needs=["not-there"], files={"needy/__init__.py": "import tiny\ntag = tiny.tag + 1\n"})
BROKEN = wheel("tiny", "1.1", files={"tiny/__init__.py": "raise ImportError('libtiny.so is missing')\n"})
DIGEST = "d" * 64

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root and imports as nobody")


@dataclass(frozen=True)
class Host:
    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "runtimes" / "tiny-1.0"

    @property
    def incoming(self) -> Path:
        return self.root / "runtimes" / ".incoming"

    def install(
        self, *wheels: Wheel, module: str = "tiny", digest: str = DIGEST, python: str = PYTHON
    ) -> subprocess.CompletedProcess[str]:
        self.incoming.mkdir(parents=True, exist_ok=True)
        words = [python, str(self.incoming), str(self.folder), digest, module]
        for one in wheels:
            (self.incoming / f"{one.sha256}.verified").write_bytes(one.content)
            words += [one.sha256, one.name]
        # What would lead pip elsewhere if it listened.
        around = {**os.environ, "PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PYTHONPATH": "/nonexistent"}
        return subprocess.run(
            ["sh", "-c", INSTALL, "wheels", *words], capture_output=True, text=True, check=False, env=around
        )

    def says(self, code: str) -> str:
        command = [str(self.folder / "bin" / "python"), "-I", "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def host() -> Iterator[Host]:
    # Below /tmp itself: nobody may not enter pytest's own folders.
    with tempfile.TemporaryDirectory(prefix="rackwright-wheels-") as folder:
        Path(folder).chmod(0o755)
        yield Host(Path(folder))


def test_a_folder_is_an_environment_with_these_wheels_and_no_installer(host: Host) -> None:
    done = host.install(TINY, NEEDY, module="tiny, needy")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.says("import needy; print(needy.tag, needy.__file__)") == (
        f"2 {next(host.folder.glob('lib/python3*/site-packages'))}/needy/__init__.py"
    )
    assert host.says("import importlib.util as u; print(u.find_spec('pip'))") == "None"
    assert (host.folder / ".verified").read_text() == f"{DIGEST}\n"
    assert sorted(path.name for path in host.folder.parent.iterdir()) == [".incoming", "tiny-1.0"]
    assert list(host.incoming.iterdir()) == []


def test_nobody_but_root_could_have_written_it_and_nobody_can(host: Host) -> None:
    assert host.install(TINY).returncode == 0
    for path in (host.folder, *host.folder.rglob("*")):
        found = path.lstat()
        assert (found.st_uid, found.st_gid) == (0, 0), path
        assert path.is_symlink() or found.st_mode & 0o222 == 0, path
        assert path.is_symlink() or found.st_mode & 0o044 == 0o044, path
    assert list(host.folder.rglob("tiny/__pycache__/*.pyc"))


def test_its_programs_run_by_the_interpreter_where_it_stands(host: Host) -> None:
    assert host.install(TINY).returncode == 0
    program = host.folder / "bin" / "tiny"
    assert program.read_text().splitlines()[0] == f"#!{host.folder}/bin/python"
    assert subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout == "1\n"


def test_what_cannot_be_imported_leaves_what_stood_there_and_its_wheels(host: Host) -> None:
    assert host.install(TINY).returncode == 0
    done = host.install(BROKEN, digest="e" * 64)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{host.folder}: tiny can't be imported: ")
    assert "libtiny.so is missing" in done.stderr
    assert host.says("import tiny; print(tiny.tag)") == "1"
    assert (host.folder / ".verified").read_text() == f"{DIGEST}\n"
    assert sorted(path.name for path in host.folder.parent.iterdir()) == [".incoming", "tiny-1.0"]
    assert [path.name for path in host.incoming.iterdir()] == [f"{BROKEN.sha256}.verified"]


def test_a_folder_of_other_wheels_is_replaced_as_a_whole(host: Host) -> None:
    assert host.install(TINY, NEEDY).returncode == 0
    newer = wheel("tiny", "1.1", files={"tiny/__init__.py": "tag = 11\n"})
    assert host.install(newer, digest="e" * 64).returncode == 0
    assert host.says("import tiny; print(tiny.tag)") == "11"
    assert host.says("import importlib.util as u; print(u.find_spec('needy'))") == "None"
    assert sorted(path.name for path in host.folder.parent.iterdir()) == [".incoming", "tiny-1.0"]


def test_what_an_interrupted_run_left_is_no_hindrance(host: Host) -> None:
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
        f"{host.folder}: no /usr/bin/python3.99 on this host; install it, or name another with python: "
        "in the fleet file\n",
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
