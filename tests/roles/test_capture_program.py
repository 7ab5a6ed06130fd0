"""The unit that keeps recorded requests: limits, kills and bad input. Nothing is on disk as plain text."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pyrage
import pytest

from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.roles.capture.program.arrivals import Arrivals
from rackwright.roles.capture.program.counts import Counts
from rackwright.roles.capture.program.files import Files
from rackwright.roles.capture.program.orders import Orders
from rackwright.roles.capture.shipped import MODULES
from tests.capture_unit import MIGRATION, CaptureUnit
from tests.waiting import wait_until

SECRET = "jo.doe@example.com"


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[CaptureUnit]:
    unit = CaptureUnit(tmp_path)
    unit.order()
    yield unit
    if unit.process and unit.process.poll() is None:
        unit.kill()


def body(text: str = "hello", **more: object) -> bytes:
    return json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **more}).encode()


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_record_is_redacted_encrypted_and_complete(unit: CaptureUnit) -> None:
    unit.start()
    assert unit.send(body(f"I am {SECRET}"), body("another-question")) == b"ok\n"
    assert unit.stop() == 0
    first, second = (RecordedRequest.model_validate(one) for one in unit.records())
    assert first.body["messages"] == [{"role": "user", "content": "I am <email-1>"}]
    assert (first.personal, second.personal) == ({"email": 1}, {})
    assert (first.key, first.path, first.model, first.origin) == (
        "good",
        "/v1/chat/completions",
        "gpt-4o-mini",
        "capture",
    )
    (file,) = unit.complete
    assert file.name == "00000001-2.age"
    assert unit.state["recorded"] == 2
    assert unit.state["personal"] == {"email": 1}
    assert unit.state["bytes"] == file.stat().st_size
    for text in (SECRET.encode(), b"another-question", b"jo.doe"):
        assert text not in on_disk(unit.folder)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (unit.files, file))


def test_the_operators_own_patterns_are_replaced_and_a_bad_one_ends_the_unit(unit: CaptureUnit) -> None:
    unit.order(redact={"ticket": "TCK-[0-9]{6}"})
    unit.start()
    unit.send(body("about TCK-123456"))
    unit.stop()
    assert "<ticket-1>" in json.dumps(unit.records())
    unit.order(redact={"ticket": "("})
    with pytest.raises(ConnectionError):
        unit.start()
    assert unit.ended() == 1
    # Where it was, and no words of it: they could quote a request.
    message = (unit.folder / "messages").read_text()
    assert re.fullmatch(r"ValueError at main\.py:[0-9]+ > main\.py:[0-9]+ > [\w.:> ]+\n", message)


def test_what_cannot_be_redacted_is_dropped_and_counted(unit: CaptureUnit) -> None:
    unit.start()
    hostile = [
        b"not json",
        b"",
        b"[1]",
        b'"text"',
        b"\xff\xfe{}",
        b'{"a":NaN}',
        b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"a":' + b'{"a":' * 100_000 + b"1",
        b'{"a":1' + b"0" * 5000 + b"}",
        b'{"a":"\x00"}',
        b"request 1 2 3 4 5 6\nend\n",
    ]
    assert unit.send(*hostile, body("after")) == b"ok\n"
    unit.stop()
    assert [one["body"]["messages"][0]["content"] for one in unit.records()] == ["after"]
    assert sum(unit.state["dropped"].values()) == len(hostile)
    assert unit.state["dropped"].keys() <= {"not_json", "not_redacted"}


def test_a_surrogate_becomes_something_that_a_file_can_have(unit: CaptureUnit) -> None:
    unit.start()
    unit.send(b'{"model":"m","a":"\\ud800","b":"\\u0000"}')
    unit.stop()
    assert len(unit.records()) + unit.lost() == 1
    for one in unit.records():
        RecordedRequest.model_validate_json(json.dumps(one))


def test_a_pattern_that_needs_time_without_end_costs_one_request(unit: CaptureUnit) -> None:
    unit.edit("line.py", "REDACT_SECONDS = 10", "REDACT_SECONDS = 0.2")
    slow = "class Redactor:\n    def __init__(self, more): self.counts = {}\n    def body(self, value):\n"
    slow += "        import re\n        re.match('(a|a)*$', 'a' * 60 + 'b') if 'slow' in value else None\n"
    slow += "        return value\n"
    unit.replace_redactor(slow)
    unit.start()
    unit.send(b'{"slow":1}', b'{"fast":1}')
    unit.stop()
    assert [one["body"] for one in unit.records()] == [{"fast": 1}]
    assert unit.state["dropped"] == {"not_redacted": 1}


def test_it_imports_nothing_from_folders_that_its_user_may_write_and_writes_nothing_where_it_lies(
    unit: CaptureUnit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    for name in ("json", "sitecustomize", "usercustomize"):
        (bad / f"{name}.py").write_text("raise SystemExit(9)\n")
    monkeypatch.chdir(bad)
    monkeypatch.setenv("PYTHONPATH", str(bad))
    monkeypatch.setenv("PYTHONSTARTUP", str(bad / "json.py"))
    unit.start()
    assert unit.send(body()) == b"ok\n"
    assert unit.stop() == 0
    assert len(unit.records()) == 1
    program = unit.folder / "program"
    found = {path.relative_to(program).as_posix() for path in program.rglob("*") if path.is_file()}
    assert found == set(MODULES)


def test_what_haproxy_dropped_is_counted_and_an_unknown_reason_too(unit: CaptureUnit) -> None:
    unit.start()
    unit.send(extra="dropped full 3\ndropped large 2\ndropped ../../x 1\n")
    unit.stop()
    assert unit.state["dropped"] == {"full": 3, "large": 2, "fault": 1}


@pytest.mark.parametrize(
    "line", ["request 1 2 3", "hello", "request 1 2 3 4 5 -1", "request 1 2 3 4 5 99999999", "x" * 5000]
)
def test_a_line_that_haproxy_never_sends_ends_the_connection_and_nothing_else(unit: CaptureUnit, line: str) -> None:
    unit.start()
    with suppress(ConnectionError):
        assert unit.send(extra=f"{line}\n") == b""
    assert unit.send(body()) == b"ok\n"
    unit.stop()
    assert len(unit.records()) == 1


def test_a_kill_loses_at_most_the_open_file(unit: CaptureUnit) -> None:
    unit.start()
    unit.send(body("one"))
    unit.reload()
    wait_until(lambda: unit.state["recorded"] == 1)
    unit.send(body("two"))
    unit.kill()
    unit.start()
    unit.send(body("three"))
    unit.stop()
    assert [one["body"]["messages"][0]["content"] for one in unit.records()] == ["one", "three"]
    assert not list(unit.files.glob("*.part"))
    assert unit.state["recorded"] == 2


def test_a_file_is_rotated_by_its_size(unit: CaptureUnit) -> None:
    unit.edit("age_file.py", "ROTATE_BYTES = 4 * 2**20", "ROTATE_BYTES = 20_000")
    unit.start()
    unit.send(*(body("x" * 9_000) for _ in range(9)))
    unit.stop()
    assert [path.name.partition("-")[2] for path in unit.complete] == ["3.age", "3.age", "3.age"]


def test_a_file_is_rotated_by_its_age(unit: CaptureUnit) -> None:
    unit.edit("age_file.py", "ROTATE_SECONDS = 60", "ROTATE_SECONDS = 0.2")
    unit.start()
    unit.send(body())
    wait_until(lambda: len(unit.complete) == 1)


def test_it_ends_by_its_time(unit: CaptureUnit) -> None:
    unit.order(until=int(time.time()) + 2)
    unit.start()
    unit.send(body())
    assert unit.ended() == 3
    assert unit.state["ended"] == "duration"
    assert len(unit.records()) == 1
    # A host that boots afterwards starts nothing.
    unit.stopped_at_once()
    assert unit.state["recorded"] == 1


def test_it_ends_before_it_would_exceed_its_size(unit: CaptureUnit) -> None:
    unit.order(size=2**20)
    unit.start()
    unit.send(*(body("x" * 300_000) for _ in range(5)))
    assert unit.ended() == 3
    state = unit.state
    assert state["ended"] == "size"
    assert state["recorded"] == 3
    assert state["dropped"] == {"size": 2}
    assert sum(path.stat().st_size for path in unit.complete) <= 2**20
    # At the next boot it stays so, even if the files were fetched.
    for path in unit.complete:
        path.unlink()
    unit.stopped_at_once()
    # An operator may start it again.
    unit.order(size=2**20, until=int(time.time()) + 1800)
    unit.start()
    unit.send(body("again"))
    unit.stop()
    assert unit.state["recorded"] == 4


def test_it_ends_before_the_disk_has_less_than_its_reserve(unit: CaptureUnit) -> None:
    disk = os.statvfs(unit.folder)
    unit.order(reserve=disk.f_blocks * disk.f_frsize * 2)
    unit.start()
    unit.send(body())
    assert unit.ended() == 3
    assert (unit.state["ended"], unit.state["dropped"]) == ("disk", {"disk": 1})


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_ends_it_and_leaves_only_complete_files(tmp_path: Path) -> None:
    unit = CaptureUnit(tmp_path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(tmp_path / "files")], check=True)
    try:
        # No reserve stops it first: age finds the disk full.
        unit.order(reserve=-(10**9))
        unit.start()
        unit.send(body("first"))
        unit.reload()
        wait_until(lambda: unit.state["recorded"] == 1)
        (tmp_path / "files" / "filler").write_bytes(b"x" * 2_900_000)
        with suppress(ConnectionError):
            unit.send(*(body(os.urandom(200_000).hex()) for _ in range(5)))
        unit.reload()
        assert unit.ended() == 3
        assert [one["body"]["messages"][0]["content"] for one in unit.records()] == ["first"]
        assert not list(unit.files.glob("*.part"))
        (tmp_path / "files" / "filler").unlink()
    finally:
        if unit.process and unit.process.poll() is None:
            unit.kill()
        subprocess.run(["umount", str(tmp_path / "files")], check=True)


def test_a_file_that_cannot_get_its_name_is_lost_and_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    orders = Orders(MIGRATION, recipient, until=0, size=2**30, request=0, reserve=0, redact={})
    files = Files(tmp_path, orders)
    files.keep(b"line\n", Counter(email=1))

    def refused(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(Path, "rename", refused)
    files.complete()
    assert files.counts == Counts(dropped=Counter(disk=1), ended="disk")
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_neither_its_messages_nor_its_arguments_have_what_was_asked(unit: CaptureUnit) -> None:
    broken = "class Redactor:\n    counts = {}\n    def __init__(self, more): pass\n"
    broken += "    def body(self, value): raise ValueError(str(value))\n"
    unit.replace_redactor(broken)
    unit.start()
    unit.send(body(SECRET))
    assert unit.process
    shown = (
        Path(f"/proc/{unit.process.pid}/cmdline").read_bytes()
        + Path(f"/proc/{unit.process.pid}/environ").read_bytes()
    )
    unit.stop()
    assert SECRET.encode() not in shown + (unit.folder / "messages").read_bytes() + on_disk(unit.folder)
    assert unit.state["dropped"] == {"not_redacted": 1}


def test_what_was_dropped_is_in_the_state_although_nothing_was_recorded(unit: CaptureUnit) -> None:
    unit.start()
    unit.send(b"not json")
    unit.reload()
    wait_until(lambda: unit.state["dropped"] == {"not_json": 1})


def test_another_run_counts_on(unit: CaptureUnit) -> None:
    for _ in range(2):
        unit.start()
        unit.send(body(SECRET), b"not json")
        unit.stop()
    state = unit.state
    assert (state["recorded"], state["dropped"], state["personal"]) == (2, {"not_json": 2}, {"email": 2})
    assert state["migration"] == MIGRATION
    (unit.files / "state.json").write_text("garbled")
    unit.start()
    unit.stop()
    assert unit.state["recorded"] == 0


@pytest.mark.parametrize(
    "wrong", ['"recorded": 1e999', '"dropped": {"full": "x"}', '"personal": {"email": null}', '"dropped": 7']
)
def test_a_state_that_is_damaged_counts_as_none_and_ends_no_start(tmp_path: Path, wrong: str) -> None:
    place = tmp_path / "state.json"
    whole = '{"recorded": 1, "bytes": 2, "dropped": {"full": 3}, "personal": {}, "ended": "", "until": 4'
    place.write_text(f"{whole}, {wrong}}}")
    assert Counts.read(place, 4) == Counts()
    place.write_text("[" * 100_000)
    assert Counts.read(place, 4) == Counts()
    place.write_text(f"{whole}}}")
    assert Counts.read(place, 4).dropped == {"full": 3}


class Listener:
    """Has no descriptor for the first connection, and no thread for the second one."""

    def __init__(self, *connections: socket.socket | OSError) -> None:
        self.connections = [*connections]

    def accept(self) -> tuple[socket.socket, None]:
        if not self.connections:
            raise EOFError
        if isinstance(one := self.connections.pop(0), OSError):
            raise one
        return one, None


def test_a_connection_for_which_there_is_no_descriptor_or_thread_does_not_end_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sides = [socket.socketpair() for _ in range(2)]
    failing = iter((RuntimeError("can't start new thread"), None))
    start, here = threading.Thread.start, threading.current_thread()

    def start_or_fail(thread: threading.Thread) -> None:
        # Another thread of this process, such as another test's server, may start one at any time.
        if threading.current_thread() is here and (error := next(failing)):
            raise error
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_fail)
    arrivals = Arrivals(100)
    with pytest.raises(EOFError):
        arrivals.listen(cast(socket.socket, Listener(OSError(errno.EMFILE, ""), sides[0][1], sides[1][1])))
    assert sides[0][0].recv(1) == b""
    sides[1][0].sendall(b"dropped full 3\n")
    assert arrivals.next(10) == Counter({"full": 3})
    for side, _ in sides:
        side.close()
