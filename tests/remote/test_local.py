"""Over this machine's own shell: what a host does with our input."""

from __future__ import annotations

import io
import os
import select
import signal
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from rackwright.errors import HostError, UsageError
from rackwright.remote import CommandTimeout, Completed, Connection, Remote, checked
from rackwright.remote.transport import OUTPUT_LIMIT
from rackwright.values.targets import Target
from tests.waiting import wait_until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="writes files as root")


@pytest.fixture
def here() -> Connection:
    return Connection(Target("here", "@local"))


def test_output_status_and_input_come_through(here: Connection) -> None:
    done = here.run("cat; echo problem >&2; exit 7", stdin="täxt", sudo=False)
    assert (done.exit_status, done.stdout, done.stderr) == (7, "täxt", "problem\n")


def test_five_megabytes_on_both_streams_block_nobody(here: Connection) -> None:
    done = here.run("head -c 5000000 /dev/zero >&2; head -c 5000000 /dev/zero", sudo=False)
    assert (len(done.stdout_bytes), len(done.stderr_bytes)) == (5_000_000, 5_000_000)


def test_a_command_that_does_not_read_its_input_is_no_error(here: Connection) -> None:
    assert here.run("exit 4", stdin=bytes(5_000_000), sudo=False).exit_status == 4


def test_a_command_that_takes_too_long_is_ended_with_its_children(here: Connection, tmp_path: Path) -> None:
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(CommandTimeout, match=r"here: a command didn't finish within 0\.2 s"):
        here.run(f"(exec sleep 60 >{fifo}) & sleep 60", timeout=0.2, sudo=False)
    # The pipe ends when the last process that has it open is gone.
    assert select.select([reader], [], [], 60)[0]
    assert os.read(reader, 1) == b""


def test_what_a_command_that_took_too_long_still_prints_goes_to_no_other(here: Connection, tmp_path: Path) -> None:
    """A process in another session keeps the pipe. Its reader waits, and meanwhile nobody else gets the descriptor:
    the kernel may restart the read, and finds the pipe by its number."""
    pid = tmp_path / "pid"
    with pytest.raises(CommandTimeout):
        here.run(f"setsid sleep 1000 & echo $! >{pid}; sleep 1000", timeout=0.5, sudo=False)
    holder = int(pid.read_text())
    pipe = Path(f"/proc/{holder}/fd/1").readlink()
    kept = pipe in own_files()
    os.kill(holder, signal.SIGKILL)
    assert kept
    wait_until(lambda: pipe not in own_files())


def own_files() -> list[Path]:
    """Return what this process's descriptors point to."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        # Another thread may have closed it.
        with suppress(FileNotFoundError):
            found.append(descriptor.readlink())
    return found


def test_a_stuck_reader_of_a_large_input_is_ended_too(here: Connection) -> None:
    with pytest.raises(CommandTimeout):
        here.run("sleep 60", stdin=bytes(5_000_000), timeout=0.2, sudo=False)


def test_too_much_output_is_an_error_not_memory(here: Connection) -> None:
    with pytest.raises(HostError, match="here: a command printed more than 100000 bytes"):
        here.run("yes", limit=100_000, sudo=False)
    assert OUTPUT_LIMIT < 10**8


@needs_root
def test_a_new_file_is_born_unreadable_for_others(here: Connection, tmp_path: Path) -> None:
    path = tmp_path / "it's new"
    here.put(b"secret", str(path))
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"secret", 0o600)


@needs_root
def test_an_existing_file_keeps_its_mode_unless_told_otherwise(here: Connection, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    here.put(b"new", str(path))
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o640)
    here.put(b"newer", str(path), mode=0o755, owner="root:root")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"newer", 0o755)


@needs_root
def test_a_link_is_written_through(here: Connection, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    here.put(b"new", str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


@needs_root
def test_a_transfer_that_breaks_off_leaves_the_old_file_and_nothing_else(here: Connection, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(HostError, match="ended after 3 of 10 bytes"):
        here.put(io.BytesIO(b"abc"), str(path), size=10)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("file", "old")]


@needs_root
def test_a_file_is_read_back_as_it_is(here: Connection, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(256)))
    assert here.get(str(tmp_path / "file")) == bytes(range(256))
    with pytest.raises(HostError, match="reading /nowhere failed"):
        here.get("/nowhere")


def test_each_host_gets_its_own_command_and_errors_stay_apart() -> None:
    with Remote([Target("a", "@local"), Target("b", "@local")]) as remote:
        got = remote.run_on(["a", "b"], {"a": "echo A", "b": "sleep 60"}, timeout=2, sudo=False)
    assert isinstance(got["a"], Completed)
    assert got["a"].stdout == "A\n"
    assert isinstance(got["b"], CommandTimeout)


@pytest.mark.parametrize("command", ["kill -KILL $$", "sh -c 'kill -TERM $$'"], ids=["it", "what it ran last"])
def test_a_command_that_a_signal_ended_says_nothing_of_its_host(command: str) -> None:
    """Read as an empty answer, it would mean: no drains, no replicas, nothing that listens."""
    with Remote([Target("a", "@local")]) as remote:
        got = remote.run_on(["a"], f"echo half; {command}", sudo=False)["a"]
    assert isinstance(got, HostError)
    assert str(got).startswith("a: a rackwright command was ended by a signal")


@pytest.mark.parametrize("status", [1, 127, 128, 193, 255])
def test_a_command_that_failed_by_itself_is_for_its_caller_to_judge(status: int) -> None:
    with Remote([Target("a", "@local")]) as remote:
        got = remote.run_on(["a"], f"echo A; exit {status}", sudo=False)["a"]
    assert isinstance(got, Completed)
    assert (got.exit_status, got.stdout, got.killed) == (status, "A\n", False)


def test_where_a_command_should_end_well_one_that_failed_is_an_error() -> None:
    lost = HostError("unreachable", where="c")
    got = checked({"a": Completed(0, b"A"), "b": Completed(1, b"", b"no sudo", "b"), "c": lost}, "looking")
    assert (got["a"], got["c"]) == (Completed(0, b"A"), lost)
    assert str(got["b"]) == "b: looking failed with exit status 1\n    no sudo"


def test_an_unknown_host_is_named_with_those_there_are() -> None:
    with Remote([Target("a", "@local")]) as remote, pytest.raises(UsageError, match="no host x; the hosts are: a"):
        remote.connection("x")
