"""Whether another process of this machine has ended: real processes, and a machine without /proc."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rackwright.lifecycle.schedule import here as module
from rackwright.lifecycle.schedule.due import Here
from rackwright.lifecycle.schedule.here import here
from rackwright.state.schedule import Process
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
ANOTHER = """
from rackwright.lifecycle.schedule.here import here
with here() as me:
    print(me.process.model_dump_json(), flush=True)
    input()
print(flush=True)
input()
"""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file with the machine's ID."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "machine-id"
    path.write_text("a" * 32 + "\n")
    monkeypatch.setattr(module, "_MACHINE_ID", path)
    return path


@pytest.fixture
def me() -> Iterator[Here]:
    with here() as made:
        yield made


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """Return /proc as a sandbox shows it: with this process only."""
    proc = tmp_path / "proc"
    (proc / "sys/kernel").mkdir(parents=True)
    (proc / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    (proc / "sys/kernel/random").symlink_to("/proc/sys/kernel/random")
    return proc


@contextmanager
def another() -> Iterator[tuple[subprocess.Popen[str], Process]]:
    """Yield a process that shows that it lives until it gets a line; after that it runs on."""
    with subprocess.Popen(
        [sys.executable, "-c", ANOTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as made:
        assert made.stdout
        with here() as me:
            known = Process.model_validate_json(made.stdout.readline())
            yield made, known.model_copy(update={"machine_id": me.process.machine_id})
        made.kill()


def files(folder: Path) -> list[Path]:
    return sorted((folder / "cache/rackwright/running").iterdir())


def test_a_process_that_runs_is_not_gone_until_it_ends(me: Here) -> None:
    assert me.process.pid == os.getpid()
    with subprocess.Popen(["sleep", "600"]) as sleeping:
        started = here_of(sleeping.pid)
        other = me.process.model_copy(update={"pid": sleeping.pid, "started": started})
        assert me.gone(other) is False
        sleeping.kill()
        # Also before its parent asks how it ended.
        wait_until(lambda: me.gone(other) is True)
        sleeping.wait()
    assert me.gone(other) is True


def here_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


@pytest.mark.parametrize("tool", ["0", "1"])
def test_a_process_that_the_sandbox_hides_is_not_gone_until_it_ends(
    hidden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    boot = tmp_path / "boot"
    boot.write_text(Path("/proc/sys/kernel/random/boot_id").read_text())
    monkeypatch.setattr(module, "BOOT", str(boot))
    with another() as (process, other), here(hidden) as me:
        monkeypatch.setenv("RACKWRIGHT_TOOL", tool)
        assert me.gone(other) is False
        process.kill()
        wait_until(lambda: me.gone(other) is True)
        # The number of the one that ended is another process's now.
        with subprocess.Popen(["sleep", "600"]) as sleeping:
            (hidden / str(other.pid)).symlink_to(f"/proc/{sleeping.pid}")
            assert me.gone(other) is True
            sleeping.kill()


def test_a_process_that_is_done_has_ended_for_others(me: Here) -> None:
    with another() as (process, other):
        assert me.gone(other) is False
        assert process.stdin
        assert process.stdout
        print(file=process.stdin, flush=True)
        process.stdout.readline()
        assert me.gone(other) is True


def test_where_no_file_shows_it_proc_does_except_in_the_tools_sandbox(
    hidden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = tmp_path / "boot"
    boot.write_text(Path("/proc/sys/kernel/random/boot_id").read_text())
    monkeypatch.setattr(module, "BOOT", str(boot))
    with another() as (process, other), here() as me, here(hidden) as sandboxed:
        for path in files(tmp_path):
            path.unlink()
        assert me.gone(other) is False
        monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
        assert me.gone(other) is False
        assert sandboxed.gone(other) is None
        process.kill()
        process.wait()
        assert sandboxed.gone(other) is None
        assert sandboxed.gone(other.model_copy(update={"boot": "another"})) is True
        monkeypatch.delenv("RACKWRIGHT_TOOL")
        assert me.gone(other) is True


def test_files_of_processes_that_ended_are_removed_a_day_later(tmp_path: Path) -> None:
    long_ago = time.time() - 90_000
    with here():
        (mine,) = files(tmp_path)
        for path in (mine, mine.with_name("old"), mine.with_name("new")):
            path.touch()
        os.utime(mine, (long_ago, long_ago))
        os.utime(mine.with_name("old"), (long_ago, long_ago))
        with another():
            names = [path.name for path in files(tmp_path)]
            assert len(names) == 3
            assert {mine.name, "new"} <= set(names)
            assert "old" not in names


def test_where_no_file_can_be_written_it_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with here() as me:
        assert me.gone(me.process) is False


def test_another_process_with_the_same_number_is_not_it(me: Here) -> None:
    assert me.gone(me.process) is False
    assert me.gone(me.process.model_copy(update={"started": "1"})) is True


def test_every_process_of_an_earlier_boot_is_gone(me: Here) -> None:
    assert me.gone(me.process.model_copy(update={"boot": "another", "user": 4711})) is True


@pytest.mark.parametrize("other", [{"machine": "another"}, {"machine_id": "b" * 32}, {"machine_id": ""}])
def test_nothing_is_known_of_other_machines_even_of_the_same_name_or_id(me: Here, other: dict[str, str]) -> None:
    assert me.gone(me.process.model_copy(update={"pid": 1, **other})) is None
    assert me.gone(me.process.model_copy(update={"boot": "another", **other})) is None


def test_nothing_is_known_of_other_users(me: Here) -> None:
    assert me.gone(me.process.model_copy(update={"user": 4711, "started": "1"})) is None


@pytest.mark.parametrize("content", ["", "uninitialized\n", None])
def test_machines_without_an_id_do_not_know_each_other(machine: Path, content: str | None) -> None:
    machine.unlink() if content is None else machine.write_text(content)
    with here() as me:
        assert me.process.machine_id == ""
        assert me.gone(me.process.model_copy(update={"boot": "another"})) is None


def test_the_machines_own_id_is_not_shown(me: Here) -> None:
    assert len(me.process.machine_id) == 32
    assert "aaaa" not in me.process.machine_id


def test_without_proc_nothing_is_known(me: Here, tmp_path: Path) -> None:
    with here(tmp_path) as blind:
        assert (blind.process.boot, blind.process.started) == ("", "")
        assert blind.gone(me.process) is None
        assert me.gone(blind.process) is None


def test_the_tool_on_a_control_host_learns_from_root_which_boot_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = tmp_path / "boot"
    handed.write_text("0f1e 4711 ")
    monkeypatch.setattr(module, "BOOT", str(handed))
    with here() as person:
        assert person.process.boot not in ("", "0f1e 4711")
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    with here() as before:
        assert before.process.boot == "0f1e 4711"
    # A container's kernel has the same id as before.
    handed.write_text("0f1e 4712 ")
    with here() as after:
        assert after.gone(before.process) is True
    handed.unlink()
    with here() as unknown:
        assert unknown.process.boot == ""
