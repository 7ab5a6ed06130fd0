"""What a gateway records for a migration: a share of accepted requests, and no client waits for it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.gateway.capture_runtime import Captures, CaptureState, Looked
from rackwright.remote import Remote
from rackwright.values.targets import Target
from tests.capture_unit import MIGRATION, CaptureUnit
from tests.gateway.stack import KEYS, Stack, digest, eventually, running_stack

SYSTEMCTL = """#!/bin/sh
# A stand-in for systemd: it only notes what it was asked, and says that the unit runs if a file is there.
echo "$*" >>"$HERE/asked"
case $1 in
    is-active) [ -e "$HERE/active" ] ;;
    start) touch "$HERE/active" ;;
    stop) [ -e "$HERE/rackwright-capture.service" ] && rm -f "$HERE/active" ;;
esac
"""


@dataclass
class Recording:
    """A gateway, and the unit that it sends copies to."""

    stack: Stack
    unit: CaptureUnit
    captures: Captures

    def start(
        self, percent: float = 100, *, seconds: int = 3600, names: tuple[str, ...] = ("assistant",), **orders: Any
    ) -> None:
        started = self.captures.start(self.unit.orders(**orders), dict.fromkeys(names, percent), seconds)
        assert started == {"gate1": None}

    def ask(self, text: str = "hello", **request: Any) -> str:
        """Send an accepted request; return its id."""
        body = {"model": "assistant", "messages": [{"role": "user", "content": text}]}
        response = self.stack.send(body=json.dumps(body).encode(), **request)
        assert response.status == 200
        response.read()
        return response.getheader("x-request-id") or ""

    def arrived(self, count: int) -> list[dict[str, Any]]:
        """Return all records once there are as many, or more. Copies arrive a moment after their request."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            self.unit.reload()
            found[:] = self.unit.records()
            return len(found) >= count

        eventually(enough)
        return found

    def recorded(self) -> list[dict[str, Any]]:
        """End the unit; return all that it has recorded."""
        assert self.unit.stop() == 0
        return self.unit.records()

    def kept(self) -> int:
        """Return how many copies the unit has recorded or knows to be lost."""
        self.unit.reload()
        return int(self.unit.state["recorded"] + self.unit.lost())

    @property
    def map(self) -> str:
        return Path(self.stack.gateway.paths.configuration, "captures.map").read_text()


@pytest.fixture(scope="module")
def recording_stack() -> Iterator[Stack]:
    with running_stack() as stack:
        stack.write(stack.settings.model_copy(update={"captures": str(stack.folder / "capture/records.sock")}))
        stack.gateway.reload()
        yield stack


@pytest.fixture
def recording(recording_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    stack = recording_stack
    # The copies that an earlier test left go with their worker.
    stack.gateway.reload()
    eventually(lambda: len(stack.gateway.workers) == 1)
    stack.reset()
    unit = CaptureUnit(stack.folder / "capture")
    for path in unit.files.glob("*"):
        path.unlink()
    here = stack.folder / "systemd"
    here.mkdir(exist_ok=True)
    (here / "active").unlink(missing_ok=True)
    (here / "systemctl").write_text(SYSTEMCTL)
    (here / "systemctl").chmod(0o755)
    (here / "rackwright-capture.service").touch()
    monkeypatch.setenv("HERE", str(here))
    monkeypatch.setenv("PATH", f"{here}:{os.environ['PATH']}")
    with Remote([Target("gate1", "@local")]) as remote:
        captures = Captures(
            remote, ("gate1",), stack.gateway.paths, str(unit.folder), "root", str(here), str(unit.socket)
        )
        unit.order()
        unit.start()
        yield Recording(stack, unit, captures)
        captures.stop(MIGRATION)
        unit.kill()


def test_each_accepted_request_is_recorded_with_its_time_id_key_path_and_name(recording: Recording) -> None:
    before = time.time()
    recording.start()
    first = recording.ask("one")
    second = recording.ask("mail jo@example.com", headers={"x-conversation-id": "secret-header"})
    found = {one["id"]: one for one in recording.arrived(2)}
    assert found.keys() == {first, second}
    one = found[first]
    assert before - 1 <= one.pop("arrived") <= time.time()
    assert one == {
        "format": "recorded-request/1",
        "id": first,
        "path": "/v1/chat/completions",
        "model": "assistant",
        "body": {"model": "assistant", "messages": [{"role": "user", "content": "one"}]},
        "key": "good",
        "origin": "capture",
        "personal": {},
    }
    text = json.dumps(found[second])
    assert "<email-1>" in text
    assert "jo@example.com" not in text
    # Nothing of the headers, above all no key.
    assert not any(secret in json.dumps(found) for secret in (KEYS["good"], digest(KEYS["good"]), "secret-header"))


def test_the_share_is_right(recording: Recording) -> None:
    recording.start(30)
    sent = {recording.ask() for _ in range(200)}
    found = recording.arrived(1)
    # 60 of 200, with a margin of more than four standard deviations.
    assert 32 <= len(found) <= 88
    assert {one["id"] for one in found} <= sent


def test_nothing_is_recorded_of_refused_requests_other_models_and_rackwrights_own(recording: Recording) -> None:
    recording.start()
    deep = b'{"model":"assistant","messages":' + b"[" * 200 + b"]" * 200 + b"}"
    assert [
        recording.stack.send(key="wrong").status,
        recording.stack.send(key="expired").status,
        recording.stack.send(key="scoped").status,
        recording.stack.send("nobody").status,
        recording.stack.send(path="/v1/nothing").status,
        recording.stack.send(method="GET").status,
        recording.stack.send(body=deep).status,
        recording.stack.send(body=b'{"model":"assistant","id_slot":1}').status,
    ] == [401, 401, 403, 404, 404, 405, 400, 400]
    assert recording.stack.send("coder").status == 200
    with recording.stack.gateways() as gateways, gateways.temporary_key(digest(KEYS["wrong"])):
        assert recording.stack.send(key="wrong").status == 200
    server = recording.stack.servers["assistant"]
    with recording.stack.gateways() as gateways, gateways.temporary_key(digest(KEYS["wrong"]), server=server):
        proving = recording.stack.send(key="wrong")
        assert (proving.status, proving.getheader("x-rackwright-replica")) == (200, "gpu1/assistant@1")
    wanted = recording.ask()
    assert [one["id"] for one in recording.arrived(1)] == [wanted]


def test_large_bodies_chunked_ones_and_streams_are_recorded_whole(recording: Recording) -> None:
    recording.start(request=2**20)
    text = "ü" * 500_000
    for chunked, stream in ((False, False), (True, True)):
        body = {"messages": [{"role": "user", "content": text}], "stream": stream, "model": "assistant"}
        content = json.dumps(body, ensure_ascii=False).encode()
        assert 1_000_000 < len(content) < 2**20
        connection = recording.stack.connect()
        sent: Any = (content[at : at + 60_000] for at in range(0, len(content), 60_000)) if chunked else content
        headers = {"authorization": f"Bearer {KEYS['good']}", "connection": "close"}
        connection.request("POST", "/v1/chat/completions", sent, headers, encode_chunked=chunked)
        response = connection.getresponse()
        assert response.status == 200
        response.read()
    bodies = [one["body"] for one in recording.arrived(2)]
    assert {body["stream"] for body in bodies} == {False, True}
    assert all(body["messages"][0]["content"] == text for body in bodies)


def test_a_body_above_the_plans_limit_is_only_counted(recording: Recording) -> None:
    recording.start(request=2000)
    recording.unit.stop()
    recording.unit.order(request=2000)
    recording.unit.start()
    recording.ask("x" * 3000)
    eventually(lambda: recording.unit.state["dropped"].get("large") == 1)
    assert recording.recorded() == []


def test_no_client_waits_for_a_unit_that_is_down_and_each_lost_copy_is_counted(recording: Recording) -> None:
    recording.start()
    recording.unit.kill()
    sent = 40
    for _ in range(sent):
        recording.ask()
    recording.unit.start()
    # Copies that still wait are delivered; those that were sent to the unit before it was there are counted.
    eventually(lambda: recording.kept() >= sent)
    assert recording.kept() == sent
    assert recording.unit.state["dropped"]["undelivered"] >= 1


def test_no_client_waits_for_a_unit_that_takes_nothing_and_copies_are_bounded(recording: Recording) -> None:
    recording.start()
    assert recording.unit.process
    recording.unit.process.send_signal(19)
    try:
        # Each thread keeps 8 MiB, and the sockets some.
        sent = 40
        for _ in range(sent):
            recording.ask("x" * 1_000_000)
    finally:
        recording.unit.process.send_signal(18)
    eventually(lambda: recording.kept() >= sent)
    assert recording.unit.state["dropped"]["full"] >= 1


def test_a_slow_unit_learns_what_was_dropped_while_copies_keep_coming(recording: Recording) -> None:
    """It takes a copy only once another waits, so that there is always one more."""
    recording.start()
    recording.unit.kill()
    recording.unit.socket.unlink()
    body = json.dumps({"model": "assistant", "x": "y" * 1_000_000}).encode()
    headers = {"authorization": f"Bearer {KEYS['good']}"}
    # One connection is one thread's, and each thread delivers its own copies.
    client = recording.stack.connect()
    words: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(recording.unit.socket))
        listener.listen(64)
        for _ in range(2):
            client.request("POST", "/v1/chat/completions", body, headers)
            client.getresponse().read()
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            while words[-1:] != ["end"] and len(words) < 40:
                words.append((line := stream.readline().split())[0].decode())
                if words[-1] == "request":
                    client.request("POST", "/v1/chat/completions", body, headers)
                    client.getresponse().read()
                    stream.read(int(line[-1]))
    client.close()
    assert words[-1] == "end"


def test_a_capture_goes_on_after_a_reload_and_replaced_workers_record_nothing_twice(recording: Recording) -> None:
    recording.start()
    connection = recording.stack.connect()
    headers = {"authorization": f"Bearer {KEYS['good']}"}
    ids = []
    for turn in range(3):
        connection.request("POST", "/v1/chat/completions", b'{"model":"assistant","messages":[]}', headers)
        response = connection.getresponse()
        response.read()
        ids.append(response.getheader("x-request-id"))
        if turn == 0:
            recording.stack.gateway.reload()
            # The kept-alive connection's worker was replaced, and the connection ends after its next answer.
        if turn == 1:
            connection = recording.stack.connect()
    connection.close()
    ids.append(recording.ask())
    found = [one["id"] for one in recording.arrived(4)]
    assert sorted(found) == sorted(ids)


def test_a_capture_ends_by_its_time_even_if_nobody_stops_it(recording: Recording) -> None:
    recording.start(seconds=-1)
    recording.ask()
    recording.start()
    wanted = recording.ask()
    recording.arrived(1)
    assert [one["id"] for one in recording.recorded()] == [wanted]


def test_a_fault_in_the_script_costs_no_answer_and_is_counted(recording: Recording) -> None:
    recording.start()
    place = Path(recording.stack.gateway.paths.configuration, "captures.map")
    for value in ("10000|4000000000|", "10000|4000000000|many", "10000|4000000000"):
        place.write_text(f"assistant {value}\n")
        recording.stack.gateway.ask(f"set map {place} assistant {value}")
        recording.ask()
    recording.start()
    wanted = recording.ask()
    eventually(lambda: recording.kept() == 4)
    assert recording.unit.state["dropped"] == {"fault": 3}
    assert [one["id"] for one in recording.unit.records()] == [wanted]


def test_what_is_only_counted_while_the_unit_is_down_takes_no_memory(recording: Recording) -> None:
    """Each thread's queue has at most one wake-up; in this test, more would be counted as faults."""
    recording.start(request=1000)
    recording.unit.kill()
    script = Path(recording.stack.gateway.paths.configuration, "capture.lua")
    text = script.read_text()
    spied = text.replace('queue:push("")', 'queue:push(""); if queue:size() > 2 then error("many") end')
    assert spied != text
    script.write_text(spied)
    try:
        recording.stack.gateway.reload()
        sent = 30
        for _ in range(sent):
            recording.ask("x" * 2000)
    finally:
        script.write_text(text)
        recording.unit.start()
    eventually(lambda: recording.kept() >= sent)
    assert recording.unit.state["dropped"] == {"large": sent}


def test_a_models_name_cannot_forge_a_record(recording: Recording) -> None:
    recording.start()
    forged = "request 1.0 forged victim /v1/chat/completions assistant 2\n{}"
    body = json.dumps({"model": f"assistant\0 2\n{{}}{forged}dropped large 7\n", "messages": []})
    status = recording.stack.send(body=body.encode()).status
    recording.ask("after")
    recording.arrived(1)
    assert [(one["key"], one["id"] == "forged") for one in recording.recorded()] == [("good", False)]
    assert (status, recording.unit.lost()) == (404, 0)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"assistant","messages":[],"a":"\xff\xfe"}',
        b'{"model":"assistant","messages":[],"a":"\\ud800"}',
        b'{"model":"assistant","messages":[],"a":NaN}',
        b'{"model":"assistant","messages":[],"a":1' + b"0" * 5000 + b"}",
        b'{"model":"assistant"}\n{"model":"assistant"}\nrequest 1 2 3 4 5 6\nend\n',
        b'{"model":"assistant","a":"\x00\\u0000"}',
        b'{"model":"assistant"',
        b'["model"]{"model":"assistant"}',
    ],
)
def test_a_hostile_body_is_recorded_or_counted_and_disturbs_no_other(recording: Recording, body: bytes) -> None:
    recording.start()
    response = recording.stack.send(body=body)
    response.read()
    # The stand-in engine gives up on some, and then HAProxy on it.
    accepted = response.status in (200, 502, 503)
    wanted = recording.ask("after")
    # Only bodies that aren't JSON are refused.
    assert accepted or response.status in (400, 404)
    eventually(lambda: recording.kept() == 1 + accepted)
    assert wanted in {one["id"] for one in recording.unit.records()}


def test_a_capture_is_stopped_looked_at_fetched_and_erased(recording: Recording) -> None:
    captures = recording.captures
    looked = captures.look(MIGRATION)["gate1"]
    assert isinstance(looked, Looked)
    assert (looked.active, looked.files) == (False, 0)
    recording.start(25)
    assert recording.map.startswith("assistant 2500|")
    recording.start()
    recording.arrived(0)
    recording.ask()
    recording.arrived(1)
    looked = captures.look(MIGRATION)["gate1"]
    assert isinstance(looked, Looked)
    assert (looked.migration, looked.active, looked.files) == (MIGRATION, True, 1)
    assert isinstance(looked.state, CaptureState)
    assert looked.state.recorded == 1
    # While it runs, nothing is erased.
    assert isinstance(captures.erase(MIGRATION)["gate1"], HostError)
    assert captures.stop(MIGRATION) == {"gate1": None}
    assert recording.map == ""
    recording.ask()
    assert len(recording.recorded()) == 1
    files = captures.files(MIGRATION)["gate1"]
    assert isinstance(files, tuple)
    (file,) = files
    content = captures.fetch("gate1", MIGRATION, file)
    assert (file.lines, file.sha256) == (1, digest_of(content))
    captures.remove("gate1", MIGRATION, files)
    assert captures.files(MIGRATION) == {"gate1": ()}
    assert captures.erase(MIGRATION) == {"gate1": ()}
    assert not recording.unit.files.exists()
    assert captures.look(MIGRATION) == {"gate1": Looked()}


def test_a_capture_whose_unit_an_apply_has_removed_is_stopped_and_erased(recording: Recording) -> None:
    """The clouds are gone from the fleet file, which is how a migration ends; HAProxy no longer knows the map."""
    recording.start()
    recording.ask()
    recording.arrived(1)
    recording.unit.stop()
    units, configuration = Path(recording.captures.units), Path(recording.stack.gateway.paths.configuration)
    (units / "rackwright-capture.service").unlink()
    configuration.rename(configuration.with_name("away"))
    try:
        assert recording.captures.stop(MIGRATION) == {"gate1": None}
        assert not (recording.unit.folder / "capture.json").exists()
        (units / "active").unlink()
        assert recording.captures.erase(MIGRATION) == {"gate1": ()}
        assert not recording.unit.files.exists()
    finally:
        configuration.with_name("away").rename(configuration)
        (units / "rackwright-capture.service").touch()


def test_two_migrations_are_not_recorded_at_once(recording: Recording) -> None:
    recording.start()
    other = recording.unit.orders().model_copy(update={"migration": "other"})
    error = recording.captures.start(other, {"assistant": 10.0}, 60)["gate1"]
    assert isinstance(error, HostError)
    assert f"it records for migration {MIGRATION}" in str(error)
    # Stopping the other one doesn't touch this one.
    assert recording.captures.stop("other") == {"gate1": None}
    assert recording.map.startswith("assistant 10000|")


def test_a_gateway_without_the_unit_and_one_that_is_down_are_named(recording: Recording) -> None:
    without = replace(recording.captures, units=str(recording.stack.folder))
    error = without.start(recording.unit.orders(), {"assistant": 10.0}, 60)["gate1"]
    assert isinstance(error, HostError)
    assert "gate1: starting the capture failed: this gateway has no rackwright-capture.service" in str(error)


def test_a_name_with_a_dot_is_no_pattern(recording: Recording) -> None:
    recording.start(10, names=("gpt-4.1", "gpt-4o1"))
    assert len(recording.map.splitlines()) == 2
    recording.start(10, names=("gpt-4.1",))
    shown = recording.stack.gateway.ask(f"show map {recording.stack.gateway.paths.configuration}/captures.map")
    assert [line.split()[1] for line in shown.splitlines() if line] == ["gpt-4.1"]


def digest_of(content: bytes) -> str:
    return sha256(content).hexdigest()
