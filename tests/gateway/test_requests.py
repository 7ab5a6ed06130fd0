"""What the gateway lets through, and what it answers itself."""

from __future__ import annotations

import json
import socket
import ssl
from http.client import HTTPResponse
from urllib.parse import unquote

import pytest

from tests.gateway.stack import KEYS, Stack, eventually


def error(response: HTTPResponse) -> tuple[int, str]:
    content = json.loads(response.read())["error"]
    assert set(content) == {"message", "type", "param", "code"}
    assert response.getheader("content-type") == "application/json"
    return response.status, content["code"]


def test_a_completion_comes_back_whole(stack: Stack) -> None:
    response = stack.send()
    assert response.status == 200
    assert json.loads(response.read())["choices"][0]["message"]["content"] == "Red."


@pytest.mark.parametrize(
    "headers",
    [{"authorization": f"bearer {KEYS['good']}"}, {"api-key": KEYS["good"]}, {"x-api-key": KEYS["good"]}],
)
def test_a_key_comes_in_any_of_three_headers_and_goes_no_further(stack: Stack, headers: dict[str, str]) -> None:
    assert stack.send(key=None, headers=headers, path="/v1/completions?user=me").status == 200
    (received,) = stack.engines["assistant"].requests
    assert received.target == "/v1/completions"
    assert not {"authorization", "api-key", "x-api-key"} & set(received.headers)
    assert KEYS["good"] not in str(received.headers)


@pytest.mark.parametrize(
    ("key", "code"), [(None, "invalid_api_key"), ("wrong", "invalid_api_key"), ("expired", "expired_api_key")]
)
def test_without_a_good_key_nothing_is_let_in(stack: Stack, key: str | None, code: str) -> None:
    assert error(stack.send(key=key)) == (401, code)
    assert error(stack.send(key=key, path="/nowhere")) == (401, code)
    assert not stack.engines["assistant"].requests


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic cnc6cnc=", f"Bearer {KEYS['good']}x"])
def test_a_malformed_key_is_a_wrong_one(stack: Stack, header: str) -> None:
    assert error(stack.send(key=None, headers={"authorization": header})) == (401, "invalid_api_key")


def test_a_map_entry_of_a_scope_is_no_key(stack: Stack) -> None:
    assert error(stack.send(key=None, headers={"api-key": f"{KEYS['scoped']}/coder"})) == (401, "invalid_api_key")


def test_a_key_reaches_the_models_it_is_for(stack: Stack) -> None:
    assert stack.send("coder", key="scoped").status == 200
    assert stack.send("org/coder:8b", key="scoped").status == 200
    assert error(stack.send("assistant", key="scoped")) == (403, "model_not_allowed")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health",
        "/metrics",
        "/invocations",
        "/v1",
        "/v1/",
        "/v1/responses",
        "/v1/chat/completions/",
        "/v1/chat/completions;x",
        "/v1/chat/co%6dpletions",
        "/v1/chat//completions",
        "//v1/chat/completions",
        "/v1/x/../chat/completions",
        "/v1/./chat/completions",
        "/V1/chat/completions",
        "/v1/model/assistant",
        "/x?/v1/chat/completions",
    ],
)
def test_only_listed_paths_exist(stack: Stack, path: str) -> None:
    assert error(stack.send(path=path)) == (404, "unknown_path")
    assert not stack.engines["assistant"].requests


def test_a_path_takes_its_method_only(stack: Stack) -> None:
    refused = stack.send(method="GET")
    assert refused.getheader("allow") == "POST"
    assert error(refused) == (405, "method_not_allowed")
    assert error(stack.send(path="/v1/models")) == (405, "method_not_allowed")


def test_the_list_of_models_names_what_clients_may_ask_for(stack: Stack) -> None:
    listed = json.loads(stack.send(path="/v1/models", method="GET").read())
    names = ["assistant", "coder", "org/assistant:8b", "org/coder:8b", "style"]
    assert [entry["id"] for entry in listed["data"]] == names
    assert {entry["created"] for entry in listed["data"]} == {1790000000}


@pytest.mark.parametrize("path", ["assistant", "org/coder:8b", "org%2Fcoder%3A8b", "style?x=1"])
def test_a_model_can_be_asked_for_by_its_name(stack: Stack, path: str) -> None:
    response = stack.send(path=f"/v1/models/{path}", method="GET")
    assert response.status == 200
    name = unquote(path.partition("?")[0])
    shown = {"id": name, "object": "model", "created": 1790000000, "owned_by": "rackwright"}
    assert json.loads(response.read()) == shown
    assert error(stack.send(path=f"/v1/models/{path}")) == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["", "none", "assistant/", 'a"b', "assistant%00", "%"])
def test_a_model_that_is_not_served_is_not_found(stack: Stack, path: str) -> None:
    assert error(stack.send(path=f"/v1/models/{path}", method="GET")) == (404, "model_not_found")
    assert error(stack.send(path=f"/v1/models/{path}", method="GET", key=None)) == (401, "invalid_api_key")


@pytest.mark.parametrize("model", ["assistant", "coder"])
@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": 400, "message": 'The "prompt"\nis \u2013 wrong', "type": "invalid_request_error"}},
        {"object": "error", "message": 'The "prompt"\nis \u2013 wrong', "type": "BadRequestError", "code": 400},
    ],
    ids=["llama-server", "vLLM before 0.12"],
)
@pytest.mark.parametrize(("status", "code"), [(400, "invalid_request"), (404, "not_found")])
def test_what_an_engine_says_about_a_wrong_request_has_openais_form(
    stack: Stack, model: str, answer: dict[str, object], status: int, code: str
) -> None:
    engine = stack.engines[model]
    engine.answer, engine.status = json.dumps(answer, ensure_ascii=False).encode(), status
    response = stack.send(model)
    content = response.read()
    assert json.loads(content) == {
        "error": {
            "message": 'The "prompt"\nis \u2013 wrong', "type": "invalid_request_error", "param": None, "code": code,
        }
    }  # fmt: skip
    assert response.status == status
    assert response.getheader("x-request-id")


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (
            400,
            "request (2280 tokens) exceeds the available context size (512 tokens)",
            (400, "context_length_exceeded"),
        ),
        (400, "This model's maximum context length is 512 tokens.", (400, "context_length_exceeded")),
        (500, "image input is not supported - hint: mmproj", (400, "invalid_request")),
        (500, "Failed to parse tools: Expected 'tools' to be an array", (400, "invalid_request")),
        (501, "This server does not support embeddings.", (400, "not_supported")),
    ],
)
def test_what_clients_tell_apart_has_a_code_of_its_own(
    stack: Stack, status: int, message: str, expected: tuple[int, str]
) -> None:
    engine = stack.engines["assistant"]
    engine.answer, engine.status = json.dumps({"error": {"code": status, "message": message}}).encode(), status
    assert error(stack.send()) == expected


def test_what_an_engine_itself_got_wrong_stays_its_error(stack: Stack) -> None:
    engine = stack.engines["assistant"]
    engine.answer, engine.status = b'{"error":{"code":500,"message":"CUDA error"}}', 500
    response = stack.send()
    assert (response.status, response.read()) == (500, engine.answer)


def test_an_error_that_quotes_the_request_is_cut(stack: Stack) -> None:
    engine = stack.engines["assistant"]
    engine.answer, engine.status = json.dumps({"error": {"message": "ä" * 50_000}}, ensure_ascii=False).encode(), 400
    message = json.loads(stack.send().read())["error"]["message"]
    assert set(message) <= {"ä"}
    assert 500 < len(message) <= 4000


def test_an_error_without_a_message_stays_as_it_is(stack: Stack) -> None:
    engine = stack.engines["assistant"]
    engine.answer, engine.status = b'{"detail":"Not Found"}', 404
    response = stack.send()
    assert (response.status, response.read()) == (404, b'{"detail":"Not Found"}')


@pytest.mark.parametrize("model", ["coder", "org/coder:8b"])
def test_a_request_goes_to_its_model(stack: Stack, model: str) -> None:
    assert stack.send(model).status == 200
    assert len(stack.engines["coder"].requests) == 1
    assert not stack.engines["assistant"].requests


@pytest.mark.parametrize("size", [20_000, 200_000, 900_000])
def test_the_model_is_found_behind_long_messages(stack: Stack, size: int) -> None:
    message = {"role": "user", "content": 'ä\\"' + "x" * size}
    body = json.dumps({"messages": [message], "model": "assistant"}).encode()
    assert stack.send(body=body).status == 200
    assert stack.engines["assistant"].requests[0].body == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"not json",
        b'{"model": 5}',
        b'{"model": null}',
        b'{"model": ["assistant"]}',
        b'{"model": "Assistant"}',
        b'{"model": "assistant|"}',
        b'{"x": {"model": "assistant"}}',
        b"[" * 20_000,
    ],
)
def test_a_request_without_a_model_of_ours_is_not_found(stack: Stack, body: bytes) -> None:
    assert error(stack.send(body=body)) == (404, "model_not_found")


def test_an_answer_above_the_buffer_comes_whole(stack: Stack) -> None:
    answer = json.dumps({"data": "y" * 3_000_000, "usage": {"prompt_tokens": 1}}).encode()
    stack.engines["assistant"].answer = answer
    assert stack.send(path="/v1/embeddings").read() == answer


def test_every_answer_carries_its_request_id_and_none_of_the_clients(stack: Stack) -> None:
    ids = {stack.send(headers={"x-request-id": "mine"}).getheader("x-request-id") for _ in range(2)}
    ids.add(stack.send(key=None).getheader("x-request-id"))
    assert len(ids) == 3
    assert "mine" not in ids
    assert stack.engines["assistant"].requests[0].headers["x-request-id"] in ids


def test_a_stream_is_not_buffered(stack: Stack) -> None:
    engine = stack.engines["assistant"]
    engine.hold = True
    response = stack.send(stream=True)
    for number in range(engine.chunks):
        # The engine writes the next chunk only after this one has reached the client.
        assert response.readline() == f"data: {number}\n".encode()
        response.readline()
        engine.let_go()
    assert response.read().endswith(b"[DONE]\n\n")


def test_a_client_that_leaves_frees_its_engine(stack: Stack) -> None:
    engine = stack.engines["assistant"]
    engine.hold = True
    response = stack.send(stream=True, headers={"connection": "keep-alive"})
    response.readline()
    response._connection.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]
    response._connection.close()  # type: ignore[attr-defined]
    response.close()
    eventually(engine.is_left)


def test_plain_http_is_refused(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.settings.port), timeout=60) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nhost: llm.lab\r\n\r\n")
        assert not connection.recv(100).startswith(b"HTTP")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_http_2_and_old_tls_are_not_offered(stack: Stack) -> None:
    context = ssl.create_default_context(cadata=stack.ca.pem)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", stack.settings.port), timeout=60) as connection:
        wrapped = context.wrap_socket(connection, server_hostname="llm.lab")
        assert wrapped.selected_alpn_protocol() == "http/1.1"
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", stack.settings.port), timeout=60) as connection,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(connection, server_hostname="llm.lab")
