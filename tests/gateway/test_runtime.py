"""Running gateways: drains, reloads and keys, with real HAProxy processes and their sockets."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Self

import pytest

from rackwright.errors import HostError
from rackwright.gateway import DrainRecord, Gateways, ServerState, merged
from rackwright.gateway import api as gateways_module
from rackwright.operations.haproxy.paths import Paths
from rackwright.remote import Remote
from rackwright.roles.gateway.settings import Key
from rackwright.values.targets import Target
from tests.gateway.stack import KEYS, Stack, digest, eventually, gone

ASSISTANT = "gpu1/assistant@1"


@pytest.fixture
def gateways(stack: Stack) -> Iterator[Gateways]:
    for file in (stack.folder / "drains").iterdir():
        file.unlink()
    with stack.gateways() as gateways:
        yield gateways


def held_stream(stack: Stack, key: str = "good") -> HTTPResponse:
    """Return a stream whose first chunk has arrived. The engine sends no other until it is released."""
    stack.engines["assistant"].hold = True
    response = stack.send(stream=True, key=key)
    assert response.readline() == b"data: 0\n"
    return response


def ended_whole(stack: Stack, response: HTTPResponse) -> bool:
    stack.engines["assistant"].hold = False
    stack.engines["assistant"].let_go(100)
    whole = response.read().endswith(b"data: 4\n\ndata: [DONE]\n\n")
    response._connection.close()  # type: ignore[attr-defined]
    return whole


def test_servers_are_told_with_their_state(stack: Stack, gateways: Gateways) -> None:
    states = gateways.servers()
    assert set(states) == {ASSISTANT, "gpu1/coder@1"}
    state = states[ASSISTANT]
    assert state.port == int(stack.servers["assistant"].rpartition(".")[2])
    assert (state.up, state.drained, state.drained_manually, state.in_flight, state.record) == (
        True,
        False,
        False,
        0,
        None,
    )
    stack.agents["assistant"].state = "down"
    eventually(lambda: not gateways.servers()[ASSISTANT].takes_requests)


def test_a_drained_replica_ends_its_answers_and_gets_no_more(stack: Stack, gateways: Gateways) -> None:
    response = held_stream(stack)
    gateways.drain(ASSISTANT, who="rollout", reason="update", manual=False)
    state = gateways.servers()[ASSISTANT]
    assert (state.takes_requests, state.drained_manually, state.in_flight, state.up) == (False, False, 1, True)
    assert stack.send().status == 503
    assert ended_whole(stack, response)
    eventually(lambda: gateways.in_flight(ASSISTANT) == 0)
    gateways.undrain(ASSISTANT)
    assert gateways.servers()[ASSISTANT].takes_requests
    assert stack.send().status == 200


def test_a_stream_stays_whole_and_counted_over_reloads(stack: Stack, gateways: Gateways) -> None:
    response = held_stream(stack)
    first = stack.gateway.workers
    for _ in range(2):
        stack.gateway.reload()
    assert not set(stack.gateway.workers[:1]) & set(first)
    assert gateways.in_flight(ASSISTANT) == 1
    assert stack.send("coder").status == 200
    assert ended_whole(stack, response)
    eventually(lambda: gateways.in_flight(ASSISTANT) == 0)
    stack.gateway.wait_for_replaced()


def test_a_kept_connection_takes_one_more_request_after_a_reload(stack: Stack) -> None:
    with contextlib.closing(stack.connect()) as kept:
        for closes in (None, "close"):
            before = stack.gateway.workers
            kept.request("GET", "/v1/models", headers={"authorization": f"Bearer {KEYS['good']}"})
            response = kept.getresponse()
            response.read()
            assert (response.status, response.headers["connection"]) == (200, closes)
            stack.gateway.reload()
            assert kept.sock is None or set(before) < set(stack.gateway.workers)
    stack.gateway.wait_for_replaced()


def test_a_drain_outlives_a_reload_even_without_a_record(stack: Stack, gateways: Gateways) -> None:
    stack.gateway.ask(f"set server model.assistant/{stack.servers['assistant']} state drain")
    stack.gateway.reload()
    state = gateways.servers()[ASSISTANT]
    assert (state.drained, state.drained_manually, state.up) == (True, True, True)
    gateways.undrain(ASSISTANT)
    stack.gateway.reload()
    assert gateways.servers()[ASSISTANT].takes_requests


def test_what_one_gateway_knows_to_be_drained_by_hand_is_so() -> None:
    def seen(who: str, *, manual: bool) -> dict[str, ServerState]:
        record = DrainRecord(who=who, reason="x", manual=manual, time=datetime(2026, 11, 25, tzinfo=UTC))
        return {ASSISTANT: ServerState("gpu1", "assistant@1", True, True, 0, record)}

    state = merged({"gate1": seen("rollout", manual=False), "gate2": seen("ada", manual=True)})[ASSISTANT]
    assert state.drained_manually
    assert state.record is not None
    assert state.record.who == "ada"


def test_a_replica_that_is_down_stays_down_over_a_reload(stack: Stack, gateways: Gateways) -> None:
    stack.agents["assistant"].state = "down"
    eventually(lambda: stack.down(stack.servers["assistant"]))
    stack.gateway.reload()
    assert not gateways.servers()[ASSISTANT].up


def test_no_probe_and_no_check_lets_a_drained_replica_back_in(stack: Stack, gateways: Gateways) -> None:
    gateways.drain(ASSISTANT, who="ada", reason="fan")
    for state, up in (("down", False), ("up ready", True)):
        stack.agents["assistant"].state = state
        eventually(lambda up=up: gateways.servers()[ASSISTANT].up is up)  # type: ignore[misc]
        assert gateways.servers()[ASSISTANT].drained_manually
    assert stack.send().status == 503
    gateways.undrain(ASSISTANT)
    assert stack.send().status == 200


def test_a_drain_is_copied_as_it_is_also_to_a_gateway_that_does_not_run(stack: Stack, gateways: Gateways) -> None:
    record = DrainRecord(who="ada", reason="it's loud", manual=True, time=datetime(2026, 11, 25, tzinfo=UTC))
    port = int(stack.servers["assistant"].rpartition(".")[2])
    gateways.copy_drain(ASSISTANT, port, record)
    assert gateways.servers()[ASSISTANT].record == record
    assert gateways.servers()[ASSISTANT].drained_manually
    folder = stack.folder / "not-running"
    with Remote([Target("gate2", "@local")]) as remote:
        away = Gateways(remote, ["gate2"], paths=Paths("/nowhere", "/nowhere"), drains=str(folder))
        away.copy_drain(ASSISTANT, port, record)
    text = (folder / stack.servers["assistant"]).read_text()
    assert DrainRecord.model_validate_json(text) == record
    gateways.undrain(ASSISTANT)


def test_a_recorded_drain_outlives_a_start_and_a_later_one_does_not_take_it_over(
    stack: Stack, gateways: Gateways
) -> None:
    gateways.drain(ASSISTANT, who="ada", reason="fan is loud, 'RMA' 4711\\")
    gateways.drain(ASSISTANT, who="rollout", reason="update", manual=False)
    record = gateways.servers()[ASSISTANT].record
    assert record
    assert (record.who, record.reason, record.manual) == ("ada", "fan is loud, 'RMA' 4711\\", True)
    stack.gateway.ask(f"set server model.assistant/{stack.servers['assistant']} state ready")
    stack.gateway.script("drains")
    assert gateways.servers()[ASSISTANT].drained_manually
    gateways.undrain(ASSISTANT)
    assert gateways.servers()[ASSISTANT].record is None


def test_the_drain_of_a_server_that_is_gone_is_forgotten(stack: Stack, gateways: Gateways) -> None:
    folder = stack.folder / "drains"
    for server in ("gone1.assistant.1.8100", "gone1.assistant.10.8101"):
        (folder / server).write_text("{}")
    gateways.forget_drain("gone1/assistant@1")
    assert [file.name for file in folder.iterdir()] == ["gone1.assistant.10.8101"]


def test_a_drain_without_a_record_stays_a_persons_when_a_run_drains_too(stack: Stack, gateways: Gateways) -> None:
    stack.gateway.ask(f"set server model.assistant/{stack.servers['assistant']} state drain")
    gateways.drain(ASSISTANT, who="rollout", reason="update", manual=False)
    state = gateways.servers()[ASSISTANT]
    assert (state.record, state.drained_manually) == (None, True)
    gateways.undrain(ASSISTANT)


def test_a_replica_that_a_gateway_does_not_have_is_an_error(gateways: Gateways) -> None:
    with pytest.raises(HostError, match=r"gate1: draining gpu9/assistant@1 failed: .*no such server"):
        gateways.drain("gpu9/assistant@1", who="ada", reason="x")


def test_a_temporary_key_is_let_in_within_its_block_only(stack: Stack, gateways: Gateways) -> None:
    keys = Path(stack.gateway.paths.configuration, "keys.map").read_text()
    with gateways.temporary_key(digest(KEYS["wrong"])):
        assert stack.send(key="wrong").status == 200
        assert Path(stack.gateway.paths.configuration, "keys.map").read_text() == keys
    assert stack.send(key="wrong").status == 401


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_temporary_key_lasts_by_the_gateways_clock(
    stack: Stack, gateways: Gateways, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    """By a controller's slow clock, keys would have expired already; by a fast one, they would last too long."""

    class Controllers(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(minutes=minutes)

    monkeypatch.setattr(gateways_module, "datetime", Controllers)
    with gateways.temporary_key(digest(KEYS["wrong"]), seconds=300):
        file = f"{stack.gateway.paths.configuration}/keys.map"
        entry = stack.gateway.ask(f"get map {file} {digest(KEYS['wrong'])}")
        expires = int(entry.split('value="')[1].split("|")[1])
        assert 0 < expires - time.time() <= 300
        assert stack.send(key="wrong").status == 200


def test_a_temporary_key_expires_by_itself(stack: Stack, gateways: Gateways) -> None:
    with gateways.temporary_key(digest(KEYS["wrong"]), seconds=-1):
        assert stack.send(key="wrong").status == 401


def test_a_key_for_one_server_reaches_it_drained_and_alone_and_is_told_so(stack: Stack, gateways: Gateways) -> None:
    gateways.drain(ASSISTANT, who="rollout", reason="update", manual=False)
    gateways.open_downtime("assistant", 60)
    with gateways.temporary_key(digest(KEYS["wrong"]), server=stack.servers["assistant"]):
        answer = stack.send(key="wrong")
        assert (answer.status, answer.getheader("x-rackwright-replica")) == (200, ASSISTANT)
        assert stack.send("coder", key="wrong").getheader("x-rackwright-replica") == "gpu1/coder@1"
    gateways.close_downtime("assistant")
    assert stack.send().status == 503
    gateways.undrain(ASSISTANT)
    answer = stack.send()
    assert (answer.status, answer.getheader("x-rackwright-replica")) == (200, None)


def test_a_key_for_one_server_does_not_reach_it_once_it_is_down(stack: Stack, gateways: Gateways) -> None:
    stack.agents["assistant"].state = "down"
    eventually(lambda: stack.down(stack.servers["assistant"]))
    with gateways.temporary_key(digest(KEYS["wrong"]), server=stack.servers["assistant"]):
        assert stack.send(key="wrong").status == 503


def test_an_added_key_outlives_a_reload_and_a_removed_one_is_gone(stack: Stack, gateways: Gateways) -> None:
    file = Path(stack.gateway.paths.configuration, "keys.map")
    before = file.read_text()
    key = Key(id="late", sha256=digest(KEYS["wrong"]), models=("assistant",))
    for _ in range(2):
        gateways.put_key(key, note="{}")
    assert (stack.send(key="wrong").status, stack.send("coder", key="wrong").status) == (200, 403)
    stack.gateway.reload()
    assert stack.send(key="wrong").status == 200
    gateways.remove_key(gone(key), note="{}")
    assert stack.send(key="wrong").status == 401
    stack.gateway.reload()
    assert stack.send(key="wrong").status == 401
    assert file.read_text() == before
    with pytest.raises(HostError, match="this key was revoked"):
        gateways.put_key(key, note="{}")
    stack.gateway.forget_keys()


def test_an_old_worker_does_not_honour_a_revoked_key(stack: Stack, gateways: Gateways) -> None:
    response = held_stream(stack)
    stack.gateway.reload()
    old = stack.gateway.workers[1]
    good = Key(id="good", sha256=digest(KEYS["good"]))
    asked = f"@!{old} get map {stack.gateway.paths.configuration}/keys.map {good.sha256}"
    assert "found=yes" in stack.gateway.ask(asked, "master")
    gateways.remove_key(gone(good), note="{}")
    try:
        assert "found=no" in stack.gateway.ask(asked, "master")
        assert stack.send().status == 401
    finally:
        stack.gateway.forget_keys()
        assert ended_whole(stack, response)


def test_keys_written_to_the_file_are_loaded_into_every_worker_without_a_reload(stack: Stack) -> None:
    response = held_stream(stack)
    stack.gateway.reload()
    workers = stack.gateway.workers
    file = Path(stack.gateway.paths.configuration, "keys.map")
    applied = file.with_name("keys.applied")
    before = applied.read_text()
    applied.write_text(f"{digest(KEYS['wrong'])} 1 {digest(KEYS['wrong'])} late|0|all\n")
    stack.gateway.script("load_keys")
    try:
        assert (stack.send("coder", key="wrong").status, stack.send("coder").status) == (200, 401)
        for pid in workers:
            shown = stack.gateway.ask(f"@!{pid} show map {file}", "master")
            assert [line.split()[1] for line in shown.splitlines() if line.strip()] == [digest(KEYS["wrong"])]
        assert stack.gateway.workers == workers
    finally:
        applied.write_text(before)
        stack.gateway.script("load_keys")
    assert ended_whole(stack, response)


@contextlib.contextmanager
def worker_asked(stack: Stack, pid: int, answer: str) -> Iterator[None]:
    """A command to this worker runs the shell code `answer` instead; `sleep` does nothing."""
    programs = Path(stack.gateway.paths.certificates, "bin")
    socat, sleep = programs / "socat", programs / "sleep"
    socat.write_text(
        f"#!/bin/sh\nsaid=$(cat; echo .)\ncase $said in\n'@!{pid} '*) {answer} ;;\n"
        f'*) printf %s "${{said%?}}" | {shutil.which("socat")} "$@" ;;\nesac\n'
    )
    sleep.write_text("#!/bin/sh\n")
    for program in (socat, sleep):
        program.chmod(0o755)
    try:
        yield
    finally:
        socat.unlink()
        sleep.unlink()


@pytest.mark.parametrize("silences", [0, 2])
def test_a_worker_that_ends_while_keys_are_loaded_needs_none(stack: Stack, tmp_path: Path, silences: int) -> None:
    """It ends immediately, or after unanswered commands: a worker that ends gives no answer, and may take a while."""
    response = held_stream(stack)
    stack.gateway.reload()
    old = stack.gateway.workers[1]
    asked = tmp_path / "asked"
    ends = (
        f"echo >>{asked}; [ $(wc -l <{asked}) -gt {silences} ] || exit 0\n"
        f"kill -9 {old}; while [ -e /proc/{old}/exe ]; do :; done; exit 1"
    )
    try:
        with worker_asked(stack, old, ends):
            stack.gateway.script("load_keys")
    finally:
        with contextlib.suppress(OSError, HTTPException):
            response.read()
    eventually(lambda: old not in stack.gateway.workers)  # the master lists it until it has reaped it


def test_a_worker_that_stays_and_takes_no_keys_is_named(stack: Stack, capfd: pytest.CaptureFixture[str]) -> None:
    response = held_stream(stack)
    stack.gateway.reload()
    old = stack.gateway.workers[1]
    with worker_asked(stack, old, "exit 0"), pytest.raises(Exception, match="exit status 1"):
        stack.gateway.script("load_keys")
    assert f"HAProxy's worker {old}, asked 'prepare map" in capfd.readouterr().err
    stack.gateway.script("load_keys")
    assert ended_whole(stack, response)


def test_a_configuration_that_haproxy_refuses_changes_nothing(stack: Stack) -> None:
    file = Path(stack.gateway.paths.configuration, "haproxy.cfg")
    good, newest = file.read_text(), stack.gateway.workers[0]
    file.write_text(good + "\nnonsense\n")
    try:
        with pytest.raises(Exception, match="exit status 1"):
            stack.gateway.reload()
    finally:
        file.write_text(good)
    assert stack.gateway.workers[0] == newest
    assert stack.send().status == 200


def test_a_renewed_certificate_is_shown_after_a_reload_of_the_host_proxy(stack: Stack) -> None:
    response = held_stream(stack)
    stack.ca.issue("host-proxy", ("gpu1", "127.0.0.1"), client=False)
    stack.host_proxy.reload()
    stack.host_proxy.reload()
    assert stack.send("coder").status == 200
    assert ended_whole(stack, response)
