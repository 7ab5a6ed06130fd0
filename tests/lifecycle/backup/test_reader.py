"""restic on the host, with a stand-in for the script that has the host's secrets: it runs restic on this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.backup import reader as reading
from rackwright.lifecycle.backup.choose import choose
from rackwright.lifecycle.backup.fetch import fetch
from rackwright.lifecycle.backup.reader import Reader, readers
from rackwright.lifecycle.backup.stream import streamed
from rackwright.remote.completed import Completed
from rackwright.remote.local import LocalPipe, LocalTransport
from tests.lifecycle.backup.saved import HOST, PASSWORD, Saved


class Shell:
    """This machine as the host. It counts commands."""

    def __init__(self, problem: str | None = None) -> None:
        self.problem, self.commands = problem, 0

    def run(self, command: str, *, timeout: float | None, limit: int) -> Completed:
        self.commands += 1
        if self.problem:
            raise HostError(self.problem, where=HOST)
        return LocalTransport(HOST).execute(command, [], timeout=timeout, limit=limit)

    def pipe(self, command: str) -> LocalPipe:
        return LocalPipe(command)


@pytest.fixture
def set_up(saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saved:
    folder = tmp_path / "backup"
    folder.mkdir()
    monkeypatch.setattr(reading, "FOLDER", str(folder))
    (folder / "password").write_text(PASSWORD)
    script = f'#!/bin/sh\nshift\nexec restic -r {saved.folder("one")} --password-file {folder}/password "$@"\n'
    (folder / "restic.sh").write_text(script)
    (folder / "restic.sh").chmod(0o700)
    (folder / "one.values").write_text("")
    saved.save("one")
    return saved


def test_a_folder_is_read_on_the_host_and_from_here_if_the_host_does_not_answer(
    set_up: Saved, tmp_path: Path
) -> None:
    for shell, here in ((Shell(), False), (Shell("unreachable"), True)):
        with readers(set_up.fleet, HOST, shell) as ways:
            chosen = choose(ways, "acme", datetime.now(UTC))
            output = tmp_path / f"file{here}"
            fetch(chosen, str(set_up.var / "audit.log"), output, lambda _: None)
        assert chosen.reader.here is here
        assert output.read_bytes() == (set_up.var / "audit.log").read_bytes()
        why = [str(one) for one in chosen.passed_over]
        assert ("one: gate1: unreachable" in why) is here
        assert ("two: gate1: isn't set up for the repository two" in why) is not here


def test_a_server_is_read_through_the_host_only_if_it_must_be(set_up: Saved) -> None:
    shell = Shell()
    with readers(set_up.fleet, HOST, shell) as ways:
        assert shell.commands == 0
        assert [(one.repository, one.here) for one in ways] == [
            ("one", False),
            ("one", True),
            ("two", False),
            ("two", True),
        ]


def test_a_machine_without_restic_reads_through_the_host(set_up: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with readers(set_up.fleet, HOST, Shell("unreachable")) as ways, pytest.raises(HostError) as raised:
        choose(ways, "acme", datetime.now(UTC))
    assert "one: restic: restic isn't installed on this machine" in raised.value.problems[0].listed


def scripted(shell: Shell, script: str) -> Reader:
    """Return a reader whose restic is this script."""
    return Reader(HOST, "one", False, None, shell, lambda: f"sh -c {quote(script)}")


def pieces(script: str, limit: int = 10**6) -> bytes:
    with streamed(scripted(Shell(), script), "dump", seconds=20, limit=limit) as found:
        return b"".join(found)


def test_a_stream_is_whole_or_an_error() -> None:
    assert pieces("printf abc; echo more >&2") == b"abc"
    assert pieces("head -c 900000 /dev/zero") == bytes(900_000)
    assert pieces("true") == b""
    with pytest.raises(HostError, match="one: can't be read: no such file"):
        pieces("printf abc; echo Fatal: no such file >&2; exit 1")
    with pytest.raises(HostError, match="the connection was lost while restic ran"):
        pieces("printf abc; kill -9 0")
    with pytest.raises(HostError, match="restic printed more than 100 bytes"):
        pieces("head -c 101 /dev/zero", limit=100)
    with pytest.raises(HostError, match="restic printed more than 100 bytes"):
        pieces("cat /dev/zero", limit=100)


def test_a_stream_that_hangs_ends() -> None:
    with (
        streamed(scripted(Shell(), "echo waiting >&2; exec sleep 60"), "dump", seconds=1, limit=10) as found,
        pytest.raises(HostError, match="doesn't answer in time: waiting"),
    ):
        list(found)
