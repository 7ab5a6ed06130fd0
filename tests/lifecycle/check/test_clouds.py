"""What `check` says about a cloud: the script with the real curl, against a stand-in with TLS."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rackwright.fleet.load import load_fleet
from rackwright.lifecycle.check.clouds import CloudAnswer, ask_clouds, judge, parse_cloud_answer
from rackwright.lifecycle.check.result import Condition, State
from rackwright.remote import Remote
from rackwright.values.targets import Target
from tests.gateway.certificates import CertificateAuthority
from tests.gateway.fixed_cloud import fixed_cloud
from tests.gateway.stack import free_port
from tests.stand_in_cloud import StandInCloud

FILE = """\
fleet: acme
hosts: {{gate1: {{address: 10.20.0.10}}}}
clouds:
  acme: {{url: "https://localhost:{port}/v1", key: env:CLOUD_KEY, names: [gpt-4o, gpt-4o-mini], ca: ca.pem{more}}}
models: {{chat: {{cloud: acme, names: [gpt-4o-mini]}}}}
gateway: {{on: [gate1], domain: llm.acme.internal}}
firewall: {{admin_from: [10.0.0.0/8], clients_from: [10.0.0.0/8]}}
"""
KEY = 'sk-"quoted"\\$HOME`id`' + "k" * 20
MODELS = json.dumps({"data": [{"id": "gpt-4o"}, {"id": "gpt-4o-mini"}, {"id": "o9"}]}).encode()


@dataclass
class Asked:
    folder: Path
    cloud: StandInCloud

    def condition(self, *, port: int = 0, more: str = "") -> Condition:
        (self.folder / "acme.yml").write_text(FILE.format(port=port or self.cloud.port, more=more))
        with Remote([Target("gate1", "@local")]) as remote:
            (found,) = ask_clouds(load_fleet(self.folder / "acme.yml"), remote)
        return found


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    monkeypatch.setenv("CLOUD_KEY", KEY)
    ca = CertificateAuthority(tmp_path)
    (tmp_path / "ca.pem").write_text(ca.pem)
    with fixed_cloud(ca, "localhost") as cloud:
        cloud.fix(content=MODELS)
        yield Asked(tmp_path, cloud)


def test_a_cloud_that_accepts_the_key_and_has_the_models(asked: Asked) -> None:
    found = asked.condition()
    assert (found.where, found.what, found.state) == ("gate1", "cloud", State.OK)
    assert found.found == "acme: localhost accepts the key and lists gpt-4o, gpt-4o-mini"
    (got,) = asked.cloud.received
    assert (got.path, got.headers["authorization"]) == ("/v1/models", f"Bearer {KEY}")


def test_the_key_may_be_in_another_header(asked: Asked) -> None:
    assert asked.condition(more=", auth: api-key").state is State.OK
    assert asked.cloud.received[0].headers["api-key"] == KEY


@pytest.mark.parametrize(
    ("status", "state", "found"),
    [
        (401, State.FAILED, "acme: localhost refuses the key: HTTP 401"),
        (403, State.FAILED, "acme: localhost refuses the key: HTTP 403"),
        (404, State.WARNING, "acme: localhost accepts TLS, but answers HTTP 404 to the question for its models"),
    ],
)
def test_what_the_cloud_refuses(asked: Asked, status: int, state: State, found: str) -> None:
    asked.cloud.fix(status, b"{}")
    said = asked.condition()
    assert (said.state, said.found) == (state, found)
    assert said.next


def test_a_redirect(asked: Asked) -> None:
    asked.cloud.fix(308, headers={"location": "https://evil.test/"})
    said = asked.condition()
    assert (said.state, len(asked.cloud.received)) == (State.FAILED, 1)
    assert said.found.endswith("/v1/models is a redirect, which gateways don't follow")


def test_a_name_that_the_cloud_does_not_list(asked: Asked) -> None:
    asked.cloud.fix(content=b'{"data":[{"id":"gpt-4o"}]}')
    said = asked.condition()
    assert (said.state, said.found) == (
        State.WARNING, "acme: localhost doesn't list gpt-4o-mini among its 1 models"
    )  # fmt: skip


def test_a_certificate_of_another_ca(asked: Asked) -> None:
    (asked.folder / "ca.pem").write_text(CertificateAuthority(asked.folder).pem)
    said = asked.condition()
    assert said.state is State.FAILED
    assert said.found.startswith("acme: the certificate of localhost can't be verified: ")
    assert asked.cloud.received == []


def test_a_cloud_that_does_not_answer(asked: Asked) -> None:
    port = free_port()
    said = asked.condition(port=port)
    assert said.state is State.FAILED
    assert said.found.startswith(f"acme: localhost:{port} can't be reached: ")


def test_a_key_that_can_not_be_read(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUD_KEY")
    said = asked.condition()
    assert (said.state, said.found) == (
        State.FAILED, "acme: not asked: the environment variable CLOUD_KEY is not set"
    )  # fmt: skip


def test_no_process_has_the_key_among_its_arguments(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A curl in front of the real one records its arguments, and those of the shell that started it."""
    (asked.folder / "curl").write_text(
        f'#!/bin/sh\n{{ tr "\\0" " " </proc/$PPID/cmdline; echo "$@"; env; }} >{asked.folder}/seen\nexit 7\n'
    )
    (asked.folder / "curl").chmod(0o755)
    monkeypatch.delenv("CLOUD_KEY")
    monkeypatch.setenv("PATH", f"{asked.folder}:{os.environ['PATH']}")
    (asked.folder / "key").write_text(KEY)
    text = FILE.replace("env:CLOUD_KEY", "file:key").format(port=asked.cloud.port, more="")
    (asked.folder / "acme.yml").write_text(text)
    with Remote([Target("gate1", "@local")]) as remote:
        list(ask_clouds(load_fleet(asked.folder / "acme.yml"), remote))
    seen = (asked.folder / "seen").read_text()
    assert "--cacert" in seen
    assert "k" * 20 not in seen


@pytest.mark.parametrize("text", ["", "figures: x", "\nfigures: 200 0 x\nmore\n", "{}\nfigures: 99999 0 "])
def test_what_is_no_answer_of_curl_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="curl did not say"):
        parse_cloud_answer(text)


def test_a_name_without_address_is_a_problem_of_the_gateways_name_servers(asked: Asked) -> None:
    (asked.folder / "acme.yml").write_text(FILE.format(port=1, more=""))
    cloud = load_fleet(asked.folder / "acme.yml").file.clouds["acme"]
    said = judge("acme", cloud, CloudAnswer(0, 6, "Could not resolve host", None))
    assert said == (State.FAILED, "localhost has no address there", "check the gateway's name servers")
