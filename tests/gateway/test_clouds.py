"""Requests that the gateway passes to a cloud: a stand-in for a provider, with TLS on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from http.client import RemoteDisconnected
from pathlib import Path

import pytest

from rackwright.gateway import Gateways
from rackwright.roles.gateway.settings import Cloud, Key, RoutedModel
from tests.gateway.certificates import CertificateAuthority
from tests.gateway.fixed_cloud import fixed_cloud
from tests.gateway.stack import KEYS, Stack, digest, free_port, running_stack
from tests.stand_in_cloud import Fault, StandInCloud
from tests.waiting import wait_until

SECRET = "sk-cloud-" + "c" * 40
OTHER = "sk-other-" + "o" * 40


@dataclass
class Clouds:
    stack: Stack
    cloud: StandInCloud
    other: StandInCloud
    """With another path, and the header api-key."""
    impostor: StandInCloud
    """Its certificate is by the same CA, but for another name."""


@pytest.fixture(scope="module")
def running() -> Iterator[Clouds]:
    with ExitStack() as made:
        stack = made.enter_context(running_stack())
        cloud = made.enter_context(fixed_cloud(stack.ca, "cloud.test"))
        other = made.enter_context(fixed_cloud(stack.ca, "other.test"))
        impostor = made.enter_context(fixed_cloud(stack.ca, "else.test"))
        clouds = (
            Cloud(name="acme", host="cloud.test", port=cloud.port, path="/v1", own_ca=True),
            Cloud(name="other", host="other.test", port=other.port, path="/openai/v1", auth="api-key", own_ca=True),
            Cloud(name="fake", host="fake.test", port=impostor.port, path="/v1", own_ca=True),
            Cloud(name="away", host="away.test", port=free_port(), path="/v1", own_ca=True),
        )
        for one in clouds:
            Path(stack.folder, f"{one.name}.ca.crt").write_text(stack.ca.pem)
            Path(stack.folder, f"{one.name}.key.cred").write_text(OTHER if one.name == "other" else SECRET)
        assistant, coder = stack.settings.models
        models = (
            assistant.model_copy(update={"cloud": "acme"}),
            coder,
            RoutedModel(name="chat", digest=None, names=("gpt-4o-mini",), servers=(), cloud="acme"),
            RoutedModel(name="azure", digest=None, names=("gpt-4o",), servers=(), cloud="other"),
            RoutedModel(name="imitated", digest=None, names=("fake",), servers=(), cloud="fake"),
            RoutedModel(name="absent", digest=None, names=("away",), servers=(), cloud="away"),
        )
        keys = (*stack.settings.keys, Key(id="chat", sha256=digest(KEYS["limited"]), models=("chat",)))
        stack.gateway.proxy = replace(stack.gateway.proxy, clouds=tuple(one.name for one in clouds))
        Path(stack.gateway.proxy.script).write_text(stack.gateway.proxy.script_text())
        stack.write(stack.settings.model_copy(update={"models": models, "clouds": clouds, "keys": keys}))
        stack.gateway.reload()
        for one in clouds:
            at(stack, one, "127.0.0.1")
        wait_until(lambda: status(stack, clouds[0]) == "UP" and status(stack, clouds[1]) == "UP")
        wait_until(lambda: status(stack, clouds[2]) == "DOWN" and status(stack, clouds[3]) == "DOWN")
        yield Clouds(stack, cloud, other, impostor)


@pytest.fixture
def clouds(running: Clouds) -> Clouds:
    running.cloud.reset()
    running.other.reset()
    for engine in running.stack.engines.values():
        engine.requests.clear()
    return running


def at(stack: Stack, cloud: Cloud, address: str) -> None:
    """Do what the cloud role's script does."""
    server = f"{cloud.backend}/{cloud.servers[0]}"
    stack.gateway.ask(f"set server {server} addr {address}")
    stack.gateway.ask(f"set server {server} state ready")


def status(stack: Stack, cloud: Cloud) -> str:
    rows = [line.split(",") for line in stack.gateway.ask("show stat").splitlines()]
    return next(row[17] for row in rows if row[:2] == [cloud.backend, cloud.servers[0]])


def test_a_cloud_gets_the_request_with_its_own_key_and_nothing_of_the_client(clouds: Clouds) -> None:
    secret = {"cookie": "session=1", "x-forwarded-for": "10.9.9.9", "x-stainless-os": "Linux", "openai-project": "p"}
    response = clouds.stack.send(
        "gpt-4o-mini", path="/v1/chat/completions?api-version=1", headers={"accept": "text/plain", **secret}
    )
    assert (response.status, json.load(response)["choices"][0]["message"]["content"]) == (200, "Blue.")
    (got,) = clouds.cloud.received
    assert got.path == "/v1/chat/completions"
    assert json.loads(got.body)["model"] == "gpt-4o-mini"
    headers = dict(got.headers)
    assert headers.pop("content-length") == str(len(got.body))
    assert headers == {
        "host": f"cloud.test:{clouds.cloud.port}",
        "authorization": f"Bearer {SECRET}",
        "accept": "text/plain",
        "content-type": "application/json",
    }


def test_another_path_and_the_header_api_key(clouds: Clouds) -> None:
    assert clouds.stack.send("gpt-4o", path="/v1/embeddings").status == 200
    (got,) = clouds.other.received
    assert (got.path, got.headers["api-key"]) == ("/openai/v1/embeddings", OTHER)
    assert "authorization" not in got.headers
    assert clouds.cloud.received == []


def test_the_log_says_who_was_to_answer_and_counts_tokens(clouds: Clouds) -> None:
    cases = {"gpt-4o-mini": ("chat", "cloud"), "assistant": ("assistant", "cloud"), "coder": ("coder", "fleet")}
    for name, expected in cases.items():
        response = clouds.stack.send(name)
        line = clouds.stack.log.line(str(response.getheader("x-request-id")))
        assert (line.model, line.side) == expected
        assert (line.prompt_tokens, line.completion_tokens) == ((11, 2) if expected[1] == "cloud" else (7, 3))
        assert (line.digest is None, line.replica is None) == (expected[1] == "cloud",) * 2
    refused = clouds.stack.send("no-such-model")
    assert clouds.stack.log.line(str(refused.getheader("x-request-id"))).side is None


def test_a_cloud_model_is_listed(clouds: Clouds) -> None:
    listed = json.load(clouds.stack.send(path="/v1/models", method="GET"))
    assert "gpt-4o-mini" in {one["id"] for one in listed["data"]}
    assert clouds.stack.send(path="/v1/models/gpt-4o-mini", method="GET").status == 200


def test_keys_limits_and_sizes_apply_and_engines_checks_do_not(clouds: Clouds) -> None:
    stack = clouds.stack
    assert stack.send("gpt-4o-mini", key="wrong").status == 401
    assert stack.send("gpt-4o-mini", key="scoped").status == 403
    assert stack.send("gpt-4o", key="limited").status == 403
    large = json.dumps({"model": "gpt-4o-mini", "x": "y" * stack.settings.max_request_bytes}).encode()
    assert stack.send(body=large).status == 413
    assert clouds.cloud.received == []
    nested = b'{"model":"gpt-4o-mini","verbose":true,"x":' + b"[" * 200 + b"]" * 200 + b"}"
    assert stack.send(body=nested).status == 200
    assert stack.send(body=nested.replace(b"gpt-4o-mini", b"coder")).status == 400
    assert stack.send("gpt-4o-mini", key="limited").status == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"gpt-4o-mini","model":"gpt-4o"}',
        b'{"model":"gpt-4o-mini","x":{"model":1},"mod\\u0065l":"gpt-4o"}',
        b'{"model":"gpt-4o-mini","x":"',
    ],
)
def test_a_request_that_could_get_another_model_is_refused(clouds: Clouds, body: bytes) -> None:
    response = clouds.stack.send(body=body, key="limited")
    assert (response.status, json.load(response)["error"]["code"]) == (400, "repeated_model")
    assert clouds.cloud.received == []


def test_a_model_named_elsewhere_in_the_request_is_no_second_one(clouds: Clouds) -> None:
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"model": "x", "content": '{"model": 1, "model": 2}'}]})
    assert clouds.stack.send(body=body.encode()).status == 200


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [(401, 502, "cloud_refused_key"), (403, 502, "cloud_refused_key"), (302, 502, "cloud_redirected")],
)
def test_what_is_no_answer_to_the_client_becomes_502(clouds: Clouds, said: int, status: int, code: str) -> None:
    clouds.cloud.fix(said, headers={"location": "https://evil.test/", "www-authenticate": "Bearer"})
    response = clouds.stack.send("gpt-4o-mini")
    assert (response.status, json.load(response)["error"]["code"]) == (status, code)
    assert response.getheader("location") is None
    assert response.getheader("www-authenticate") is None


def test_the_clouds_own_errors_pass(clouds: Clouds) -> None:
    content = b'{"error":{"message":"slow down","type":"requests","param":null,"code":"limit"}}'
    headers = {"retry-after": "7", "set-cookie": "a=b", "openai-organization": "acme", "server": "x"}
    for status in (400, 404, 429, 500):
        clouds.cloud.fix(status, content, headers)
        response = clouds.stack.send("gpt-4o-mini")
        assert (response.status, response.read()) == (status, content)
        assert response.getheader("retry-after") == "7"
        assert {name.lower() for name in response.headers} <= {
            "content-type", "content-length", "retry-after", "x-request-id", "connection"
        }  # fmt: skip
    assert len(clouds.cloud.received) == 4


def test_a_request_that_arrived_is_never_sent_twice(clouds: Clouds) -> None:
    clouds.cloud.faults.append(Fault("reset", times=-1, path="/"))
    # On a connection that was used before, HAProxy passes on that it was closed, and the client decides.
    with suppress(RemoteDisconnected):
        clouds.stack.send("gpt-4o-mini").read()
    response = clouds.stack.send("gpt-4o-mini")
    assert (response.status, json.load(response)["error"]["code"]) == (502, "cloud_broke_off")
    assert len(clouds.cloud.received) == 2


@pytest.mark.parametrize("name", ["fake", "away"])
def test_a_wrong_certificate_or_no_connection_is_unreachable(clouds: Clouds, name: str) -> None:
    response = clouds.stack.send(name)
    assert (response.status, json.load(response)["error"]["code"]) == (503, "cloud_unreachable")
    # Neither the request nor the key.
    assert clouds.impostor.received == []


def test_a_stream_arrives_as_it_is_sent(clouds: Clouds) -> None:
    clouds.cloud.hold = True
    response = clouds.stack.send("gpt-4o-mini", stream=True)
    for number in range(3):
        assert response.readline() == f"data: {number}\n".encode()
        assert response.readline() == b"\n"
        clouds.cloud.steps.release()
    assert b"[DONE]" in response.read()


def test_connections_to_the_cloud_are_used_again(clouds: Clouds) -> None:
    for _ in range(10):
        clouds.stack.send("gpt-4o-mini").read()
    assert clouds.cloud.connections <= 2


def test_rackwrights_own_keys_choose_the_side(clouds: Clouds) -> None:
    cases = {
        ("fleet", "assistant"): 200, ("cloud", "assistant"): 200, ("cloud", "gpt-4o-mini"): 200,
        ("fleet", "gpt-4o-mini"): 404, ("cloud", "coder"): 404, ("fleet", "coder"): 200,
    }  # fmt: skip
    with clouds.stack.gateways() as gateways:
        for (side, name), expected in cases.items():
            answered = _sent(clouds, gateways, side, name)
            assert answered == (expected, side if expected == 200 else None)
    assert len(clouds.cloud.received) == 2


def _sent(clouds: Clouds, gateways: Gateways, side: str, name: str) -> tuple[int, str | None]:
    with gateways.temporary_key(digest(KEYS["wrong"]), side="cloud" if side == "cloud" else "fleet"):
        response = clouds.stack.send(name, key="wrong")
        return response.status, clouds.stack.log.line(str(response.getheader("x-request-id"))).side


def test_a_key_for_a_server_is_answered_by_the_fleet(clouds: Clouds) -> None:
    server = clouds.stack.settings.models[0].servers[0].name
    with clouds.stack.gateways() as gateways, gateways.temporary_key(digest(KEYS["wrong"]), server=server):
        response = clouds.stack.send("assistant", key="wrong")
    assert (response.status, response.getheader("x-rackwright-replica")) == (200, "gpu1/assistant@1")
    assert clouds.cloud.received == []


def test_addresses_outlast_a_reload(clouds: Clouds) -> None:
    clouds.stack.gateway.reload()
    assert status(clouds.stack, clouds.stack.settings.clouds[0]).startswith("UP")
    assert clouds.stack.send("gpt-4o-mini").status == 200
    clouds.stack.gateway.wait_for_replaced()


def test_a_new_key_counts_after_a_reload_and_no_file_but_the_map_has_it(clouds: Clouds) -> None:
    stack = clouds.stack
    credential = stack.folder / "acme.key.cred"
    credential.write_text("sk-new-" + "n" * 40)
    try:
        stack.gateway.reload()
        stack.send("gpt-4o-mini").read()
        assert clouds.cloud.received[-1].headers["authorization"] == "Bearer sk-new-" + "n" * 40
        run = Path(stack.gateway.paths.run)
        having = {path.name for path in (run, Path(stack.gateway.paths.configuration)) for path in path.rglob("*")
                  if path.is_file() and b"sk-new-" in path.read_bytes()}  # fmt: skip
        assert having == {"clouds.map"}
        assert (run / "clouds.map").stat().st_mode & 0o777 == 0o640
        assert not any("sk-new-" in line for line in stack.log.lines)
        for pid in stack.gateway.workers:
            assert b"sk-new-" not in Path(f"/proc/{pid}/environ").read_bytes()
            assert b"sk-new-" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    finally:
        credential.write_text(SECRET)
        stack.gateway.reload()
        stack.gateway.wait_for_replaced()


def test_the_keys_of_clouds_go_with_them(running: Clouds) -> None:
    stack, proxy = running.stack, running.stack.gateway.proxy
    alone = replace(proxy, clouds=())
    Path(proxy.script).write_text(alone.script_text())
    stack.gateway.script("keys", stack.gateway.paths.run)
    assert not Path(stack.gateway.paths.run, "clouds.map").exists()
    Path(proxy.script).write_text(proxy.script_text())
    stack.gateway.script("keys", stack.gateway.paths.run)


def test_the_ca_is_the_clouds_own(running: Clouds) -> None:
    """A cloud whose certificate another CA issued is as good as unreachable."""
    other = CertificateAuthority(running.stack.folder)
    file = running.stack.folder / "acme.ca.crt"
    cloud = running.stack.settings.clouds[0]
    try:
        file.write_text(other.pem)
        running.stack.gateway.reload()
        wait_until(lambda: status(running.stack, cloud) == "DOWN")
        assert running.stack.send("gpt-4o-mini").status == 503
    finally:
        file.write_text(running.stack.ca.pem)
        running.stack.gateway.reload()
        wait_until(lambda: status(running.stack, cloud) == "UP")
        running.stack.gateway.wait_for_replaced()
