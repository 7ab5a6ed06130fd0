"""Requests to the gateways: under their name, with the fleet's CA only, each answer bounded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.lifecycle.migrate.replay import sender as module
from rackwright.lifecycle.migrate.replay.sender import Door, Got, gateway_sender
from rackwright.values.secrets import Secret
from tests.gateway.certificates import CertificateAuthority
from tests.loopback_tls import bundle, server_files
from tests.stand_in_cloud import KEY, Fault, StandInCloud, stand_in_cloud

BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "é"}]}).encode()


@pytest.fixture
def end() -> Iterator[StandInCloud]:
    with stand_in_cloud(*server_files()) as running:
        yield running


def door(end: StandInCloud) -> Door:
    return Door("127.0.0.1", "localhost", Path(bundle()).read_text(), int(end.url.rpartition(":")[2]))


def sent(door: Door, seconds: float = 30) -> Got:
    with gateway_sender(door, connections=2, seconds=seconds) as sender:
        return sender.send("/v1/chat/completions", BODY, Secret(KEY))


def test_an_answer(end: StandInCloud) -> None:
    got = sent(door(end))
    assert got.status == 200
    assert json.loads(got.content)["choices"]
    (one,) = end.received
    assert one.headers["host"] == f"localhost:{door(end).port}"
    assert one.headers["accept-encoding"] == "identity"
    assert one.body == BODY.decode()


def test_another_name_or_ca_is_refused(end: StandInCloud, tmp_path: Path) -> None:
    assert sent(replace(door(end), domain="elsewhere")).untrusted
    got = sent(replace(door(end), ca=CertificateAuthority(tmp_path).pem))
    assert (got.status, got.untrusted, got.sent, got.problem) == (0, True, False, "its certificate isn't trusted")
    assert not end.received


def test_nothing_of_the_environment(end: StandInCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    assert sent(door(end)).status == 200


def test_no_listener(end: StandInCloud) -> None:
    got = sent(replace(door(end), port=1))
    assert (got.status, got.sent, got.problem) == (0, False, "can't be connected to")


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (Fault("silence"), "no whole answer within 1 s"),
        (Fault("cut"), "the connection ended before the answer did"),
        (Fault("reset"), "the connection ended before the answer did"),
        (Fault("huge"), "the answer has more than 16 MiB"),
        (Fault("drip", times=1), "no whole answer within 1 s"),
    ],
)
def test_no_answer(end: StandInCloud, fault: Fault, problem: str) -> None:
    end.faults.append(fault)
    # On a busy machine, 16 MiB take more than a second.
    got = sent(door(end), seconds=60 if fault.kind == "huge" else 1)
    assert (got.status, got.problem, got.sent) == (0, problem, True)
    assert got.seconds < 30


def test_redirects_are_not_followed(end: StandInCloud) -> None:
    end.faults.append(Fault("redirect", location=f"{end.url}/v1/models"))
    assert sent(door(end)).status == 302
    assert len(end.received) == 1


def test_how_long_to_wait(end: StandInCloud) -> None:
    end.faults.append(Fault("status", status=429, retry_after="3"))
    got = sent(door(end))
    assert (got.status, got.retry_after) == (429, 3)


def test_no_key_is_shown(end: StandInCloud) -> None:
    end.faults.append(Fault("status", status=401))
    with gateway_sender(door(end), connections=1, seconds=5) as sender:
        shown = repr(sender.send("/v1/chat/completions", BODY, Secret(KEY))) + repr(vars(sender)) + repr(door(end))
    assert KEY not in shown
    assert module.MOST_ANSWER == 16 * 2**20
