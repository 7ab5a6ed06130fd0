"""What one key can learn of another key's prompts: engines reuse what they computed for an earlier prompt."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from rackwright.gateway import Gateways
from rackwright.roles.gateway.settings import Key
from tests.gateway.stack import KEYS, Stack, digest
from tests.gateway.stand_in_proxy import stand_in_proxy
from tests.gateway.test_large import changed
from tests.gateway.test_requests import error

CONTENT = {"messages": [{"role": "user", "content": "x}"}], "model": "coder"}
BODY = json.dumps(CONTENT).encode()
FIGURES = (
    b'"usage":{"completion_tokens":3,"prompt_tokens":7,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":%d}}'
    b',"id":"x","timings":{"cache_n":%d,"prompt_n":1,"prompt_ms":7.255}'
)
WITHOUT = (
    b'"usage":{"completion_tokens":3,"prompt_tokens":7,"total_tokens":10,"prompt_tokens_details":{}}'
    b',"id":"x","timings":{}'
)
PROGRESS = b'data: {"choices":[],"timings":{"cache_n":16},"prompt_progress":{"total":17,"cache":16}}\n\n'


def received(stack: Stack) -> bytes:
    return stack.engines["coder"].requests[-1].body


def salt(stack: Stack, body: bytes = BODY, key: str = "good", headers: dict[str, str] | None = None) -> str:
    """Return the salt that the engine finds in the body."""
    assert stack.send(body=body, key=key, headers=headers).status == 200
    found: str = json.loads(received(stack))["cache_salt"]
    return found


def figures(cached: int) -> bytes:
    return FIGURES % (cached, cached)


def test_a_key_has_a_salt_of_its_own_that_does_not_tell_the_key(stack: Stack) -> None:
    good = salt(stack)
    assert json.loads(received(stack)) == {**CONTENT, "model": "coder", "cache_salt": good}
    assert salt(stack) == good
    assert salt(stack, key="scoped") != good
    # vLLM takes at most 128 characters.
    assert re.fullmatch("[0-9a-f]{64}", good)
    assert good != digest(KEYS["good"])


@pytest.mark.parametrize(
    "body",
    [
        b'{"cache_salt":"mine","model":"coder"}',
        b'{"model":"coder","cache_salt":"mine"}',
        b'{"model":"coder","cache_salt":"mine","cache_salt":"mine"}',
        b'{"model":"coder","cache\\u005fsalt":"mine"}',
        b'{"model":"coder","cache_salt":null} \r\n\t ',
        b'{"model":"coder","cache_salt":{"x":"}"}}' + b" " * 1000,
        '{"model":"coder","cache_salt":"mine","ä":"ä"}'.encode(),
    ],
)
def test_a_client_cannot_choose_a_salt(stack: Stack, body: bytes) -> None:
    assert salt(stack, body) == salt(stack)


@pytest.mark.parametrize("schedules", [True, False])
def test_an_engine_that_schedules_by_priority_gets_it(stack: Stack, schedules: bool) -> None:
    assistant, coder = stack.settings.models
    preferred = Key(id="good", sha256=digest(KEYS["good"]), owner="research", priority=-10, version=1)
    usual = Key(id="limited", sha256=digest(KEYS["limited"]), owner="web")
    models = (assistant, coder.model_copy(update={"schedules": schedules}))
    with changed(stack, models=models, keys=(preferred, usual)):
        for key in ("good", "limited"):
            assert stack.send("coder", key=key).status == 200
        assert stack.send("assistant").status == 200
        first, second = (json.loads(request.body) for request in stack.engines["coder"].requests)
        assert (first.get("priority"), second.get("priority")) == (-10 if schedules else None, None)
        assert "priority" not in json.loads(stack.engines["assistant"].requests[-1].body)
        assert error(stack.send(body=b'{"model":"coder","priority":-99}')) == (400, "unsupported_parameter")


def test_a_header_of_the_client_changes_no_salt(stack: Stack) -> None:
    assert salt(stack, headers={"cache_salt": "mine", "x-cache-salt": "mine", "salt": "mine"}) == salt(stack)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"coder","x":"}',
        b'{"model":"coder","x":"\\}',
        b'{"model":"coder","x":{"y":1}',
        b'{"model":"coder"}}',
        b'{"model":"coder"}{"model":"coder"}',
        b'{"model":"coder","x":[}',
        b'{"model":"coder",}',
        b'{"model":"coder","x":}',
        b'{"model":"coder"} x',
        b'{"model":"coder"',
    ],
)
def test_a_broken_request_does_not_become_a_whole_one_without_the_salt(stack: Stack, body: bytes) -> None:
    stack.send(body=body)
    for request in stack.engines["coder"].requests:
        with pytest.raises(ValueError, match=r"Expecting|Invalid|Extra|Unterminated|Illegal"):
            json.loads(request.body)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_an_encoding_that_python_guesses_hides_no_request_from_the_salt(stack: Stack, encoding: str) -> None:
    encoded = BODY.decode().encode(encoding)
    for body in (encoded, " \n".encode(encoding) + BODY, encoded[:2] + BODY, encoded[:4] + BODY):
        assert error(stack.send(body=body)) in ((404, "model_not_found"), (400, "invalid_request"))
    assert not stack.engines["coder"].requests


def test_a_request_whose_length_is_not_known_is_salted(stack: Stack) -> None:
    trusted = ssl.create_default_context(cadata=stack.ca.pem)
    plain = socket.create_connection(("127.0.0.1", stack.settings.port), timeout=60)
    with (
        trusted.wrap_socket(plain, server_hostname="llm.lab") as connection,
        stand_in_proxy(stack.folder / "host-proxy") as proxy,
    ):
        name = f"model.coder/{stack.servers['coder']}"
        stack.gateway.ask(f"set server {name} addr 127.0.0.1 port {proxy.port}")
        try:
            head = ["POST /v1/completions HTTP/1.1", "host: llm.lab", "transfer-encoding: chunked"]
            connection.sendall("\r\n".join([*head, f"api-key: {KEYS['good']}", "", ""]).encode())
            for piece in (BODY[:9], BODY[9:-1], BODY[-1:]):
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.sendall(b"0\r\n\r\n")
            response = http.client.HTTPResponse(connection)
            response.begin()
        finally:
            stack.gateway.ask(f"set server {name} addr 127.0.0.1 port {stack.proxied.replicas[1].port}")
        assert response.status == 200
    (body,) = proxy.bodies
    assert json.loads(body)["cache_salt"] == salt(stack)


@pytest.mark.parametrize("failure", [0, 503])
def test_what_is_asked_again_is_salted_once(stack: Stack, failure: int) -> None:
    name = f"model.coder/{stack.servers['coder']}"
    with stand_in_proxy(stack.folder / "host-proxy") as proxy:
        stack.gateway.ask(f"set server {name} addr 127.0.0.1 port {proxy.port}")
        try:
            proxy.failures = [failure] * 2
            assert stack.send("coder").status == 200
        finally:
            stack.gateway.ask(f"set server {name} addr 127.0.0.1 port {stack.proxied.replicas[1].port}")
    assert len(proxy.bodies) == 3
    assert len(set(proxy.bodies)) == 1
    assert proxy.bodies[0].count(b"cache_salt") == 1


def test_a_request_that_cannot_be_salted_is_not_passed_on(stack: Stack) -> None:
    script = Path(stack.gateway.paths.configuration, "salt.lua")
    text = script.read_text()
    try:
        for broken in ("http_headers(txn, message)\n", "http_payload(_, message)\n"):
            script.write_text(text.replace(f"Salt:{broken}", f"Salt:{broken}    error('broken')\n"))
            stack.gateway.reload()
            assert stack.send("coder").status >= 400
            assert not stack.engines["coder"].requests
    finally:
        script.write_text(text)
        stack.gateway.reload()
    assert stack.send("coder").status == 200


@pytest.mark.parametrize("step", ["local length = headers", "local text = message"])
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_from_which_figures_cannot_be_removed_is_not_passed_on(
    stack: Stack, step: str, stream: bool
) -> None:
    engine = stack.engines["assistant"]
    engine.answer, engine.events = b"{" + figures(16) + b"}", (PROGRESS,)
    script = Path(stack.gateway.paths.configuration, "answer.lua")
    text = script.read_text()
    assert step in text
    try:
        script.write_text(text.replace(step, f"error('broken'){step}"))
        stack.gateway.reload()
        with suppress(http.client.HTTPException, OSError):
            assert b"cache" not in stack.send(stream=stream).read()
        assert engine.requests
    finally:
        script.write_text(text)
        stack.gateway.reload()


def test_an_engine_without_salts_gets_the_request_as_it_is(stack: Stack) -> None:
    body = b'{"model":"assistant","cache_salt":"mine"}'
    assert stack.send(body=body).status == 200
    assert stack.engines["assistant"].requests[-1].body == body


def test_an_answer_does_not_say_how_much_of_a_prompt_was_reused(stack: Stack) -> None:
    answers = set()
    for cached in (0, 16, 12345):
        stack.engines["assistant"].answer = b'{"choices":[],' + figures(cached) + b"}"
        response = stack.send()
        answers.add((response.getheader("content-length"), response.read()))
    expected = b'{"choices":[],' + WITHOUT + b"}"
    assert answers == {(str(len(expected)), expected)}
    seen = stack.log.line(response.getheader("x-request-id") or "")
    assert (seen.status, seen.prompt_tokens, seen.completion_tokens) == (200, 7, 3)


def test_a_connection_is_kept_after_an_answer_that_became_shorter(stack: Stack) -> None:
    stack.engines["assistant"].answer = b"{" + figures(16) + b"}"
    connection = stack.connect()
    for _ in range(3):
        body = json.dumps({"model": "assistant"})
        connection.request("POST", "/v1/completions", body, {"authorization": f"Bearer {KEYS['good']}"})
        response = connection.getresponse()
        assert json.loads(response.read())["usage"]["total_tokens"] == 10
        assert not response.will_close
    connection.close()


@pytest.mark.parametrize("form", ["%s", "%s\n", "  %s  "])
def test_figures_are_removed_wherever_and_however_they_are_written(stack: Stack, form: str) -> None:
    written = json.dumps(
        {
            "timings": {"cache_n": 99, "more": {"prompt_n": 99}},
            "usage": {"prompt_tokens_details": {"cached_tokens": 99}, "prompt_tokens": 1},
            "prompt_progress": {"cache": 99},
        },
        indent=len(form),
    )
    stack.engines["assistant"].answer = (form % written).encode()
    answer = stack.send().read()
    assert json.loads(answer) == {
        "timings": {},
        "usage": {"prompt_tokens_details": {}, "prompt_tokens": 1},
        "prompt_progress": {},
    }


def test_what_a_model_says_is_not_changed(stack: Stack) -> None:
    said = {"choices": [{"text": ',"timings":{"cache_n":1},"prompt_tokens_details":{"cached_tokens":1}'}, "timings"]}
    stack.engines["assistant"].answer = json.dumps(said).encode()
    assert json.loads(stack.send().read()) == said


def test_an_answer_larger_than_a_buffer_does_not_say_it_either(stack: Stack) -> None:
    large = b'{"x":"' + b"y" * 5_000_000 + b'",'
    stack.engines["assistant"].answer = large + figures(16) + b"}"
    assert stack.send().read() == large + WITHOUT + b"}"


def test_a_stream_does_not_say_it_in_any_event(stack: Stack) -> None:
    last = b'data: {"choices":[],' + figures(16) + b"}\n\n"
    stack.engines["assistant"].events = (PROGRESS, PROGRESS + last, b"data: [DONE]\n\n")
    without = b'data: {"choices":[],"timings":{},"prompt_progress":{}}\n\n'
    expected = without * 2 + b'data: {"choices":[],' + WITHOUT + b"}\n\ndata: [DONE]\n\n"
    assert stack.send(stream=True).read() == expected


def test_an_answer_of_the_responses_api_does_not_say_it_either(stack: Stack) -> None:
    usage = '{"input_tokens":10,"input_tokens_details":%s,"output_tokens":3}'
    stack.engines["assistant"].answer = b'{"usage":%s}' % (usage % '{"cached_tokens":8}').encode()
    response = stack.send()
    assert response.read().decode() == f'{{"usage":{usage % "{}"}}}'
    assert stack.log.line(response.getheader("x-request-id") or "").cached_tokens == 8


@pytest.mark.parametrize(
    ("read", "computed", "shown"), [(16, 1, 17), (0, 17, 17), (9, 9, 18), (12345, 1, 12346), (10**12, 1, 0)]
)
def test_an_answer_in_anthropics_form_has_one_number_for_its_prompt(
    stack: Stack, read: int, computed: int, shown: int
) -> None:
    usage = b'"usage":{"cache_read_input_tokens":%d,"input_tokens":%d,"output_tokens":3}' % (read, computed)
    engine = stack.engines["assistant"]
    engine.answer = b'{"type":"message",%s}' % usage
    response = stack.send()
    said = response.read()
    assert len(said) == len(engine.answer) == int(response.getheader("content-length") or 0)
    assert json.loads(said) == {"type": "message", "usage": {"input_tokens": shown, "output_tokens": 3}}
    engine.events = (b'data: {"type":"message_start","message":{%s}}\n\n' % usage, b'data: {"x":"input_tokens"}\n\n')
    start, other = stack.send(stream=True).read().removesuffix(b"\n\n").split(b"\n\n")
    assert json.loads(start[6:])["message"]["usage"] == {"input_tokens": shown, "output_tokens": 3}
    assert other == engine.events[1].removesuffix(b"\n\n")


@pytest.mark.parametrize("length", [1, 7, 1000], ids=["one byte", "within a number", "in two"])
def test_numbers_in_anthropics_form_are_hidden_wherever_they_are_cut(stack: Stack, length: int) -> None:
    form = 'data: {"usage":{"cache_read_input_tokens":%s,"input_tokens":%s,"output_tokens":3},"id":"17"}\n\n'
    event = (form % (1234, 56)).encode()
    engine = stack.engines["assistant"]
    engine.hold = True
    for cut in range(1, len(event)):
        engine.events = tuple(
            part for part in (event[:cut], event[cut : cut + length], event[cut + length :]) if part
        )
        response = stack.send(stream=True)
        for _ in engine.events[1:]:
            engine.let_go()
        said = json.loads(response.read()[6:])
        assert said["id"] == "17"
        assert said["usage"].get("cache_read_input_tokens", 0) == 0
        assert (said["usage"]["input_tokens"], said["usage"]["output_tokens"]) in {(1290, 3), (0, 3), (0, 0)}


@pytest.mark.parametrize("length", [1, 7, 1000], ids=["one byte", "within a figure", "in two"])
def test_a_figure_is_found_wherever_it_is_cut(stack: Stack, length: int) -> None:
    event = b'data: {"choices":[],' + figures(16) + b"}\n\n"
    expected = b'data: {"choices":[],' + WITHOUT + b"}\n\n"
    engine = stack.engines["assistant"]
    engine.hold = True
    for cut in range(1, len(event)):
        parts = (event[:cut], event[cut : cut + length], event[cut + length :])
        engine.events = tuple(part for part in parts if part)
        response = stack.send(stream=True)
        for _ in engine.events[1:]:
            engine.let_go()
        assert response.read() == expected


def test_all_of_a_part_is_passed_on_at_once(stack: Stack) -> None:
    """A filter that keeps a piece stops HAProxy: 7 of 54 answers of 4.7 MB never ended when it did."""
    engine = stack.engines["assistant"]
    engine.hold = True
    engine.events = (b"data: 0\n\n", b'data: 1,"tim', b'ings":{"cache_n":', b'16}}\n\ndata: 2,"tim')
    response = stack.send(stream=True)
    for expected in (b"data: 0\n\n", b'data: 1,"tim', b'ings":{', b'}}\n\ndata: 2,"tim'):
        assert response.read(len(expected)) == expected
        engine.let_go()
    assert response.read() == b""


@pytest.mark.parametrize(
    ("asked", "known"),
    [("coder", "coder"), ("org/coder:8b", "coder"), ("style", "style")],
    ids=["own", "alias", "adapter"],
)
def test_an_engine_is_asked_by_the_name_that_it_knows(stack: Stack, asked: str, known: str) -> None:
    stack.send(body=json.dumps({**CONTENT, "model": asked}).encode())
    assert json.loads(received(stack))["model"] == known


def test_a_key_sees_what_an_engine_with_salts_reused_of_its_own_prompts(stack: Stack) -> None:
    answer = b"{" + figures(16) + b"}"
    stack.engines["coder"].answer = answer
    assert stack.send("coder").read() == answer


@pytest.mark.parametrize("parameter", ["id_slot", "n_cache_reuse", "return_progress", "verbose", "id\\u005fslot"])
def test_a_client_cannot_choose_among_prompts_or_ask_for_more_figures(stack: Stack, parameter: str) -> None:
    refused = stack.send(body=f'{{"model":"assistant","{parameter}":1}}'.encode())
    assert error(refused) == (400, "unsupported_parameter")
    assert not stack.engines["assistant"].requests


def test_a_key_that_was_added_since_has_its_own_salt(stack: Stack) -> None:
    with stack.gateways() as gateways:
        _added(gateways)
        try:
            assert salt(stack, key="limited") not in (salt(stack), salt(stack, key="scoped"))
        finally:
            stack.gateway.forget_keys()


def _added(gateways: Gateways) -> None:
    gateways.put_key(Key(id="limited", sha256=digest(KEYS["limited"])), note="{}")
