"""Which paths pass for which model, and errors in the form of the API that a client uses."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from rackwright.roles.gateway.settings import BASIC_PATHS
from tests.gateway.stack import Stack, running_stack
from tests.gateway.test_requests import error

RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    """The assistant's engine serves every API, the coder's only the basic ones."""
    with running_stack() as stack:
        assistant, coder = stack.settings.models
        apis = (*BASIC_PATHS, RESPONSES, MESSAGES, "/v1/messages/count_tokens", "/tokenize")
        models = (assistant.model_copy(update={"apis": apis}), coder)
        stack.write(stack.settings.model_copy(update={"models": models}))
        stack.gateway.reload()
        yield stack


@pytest.fixture
def served(own: Stack) -> Stack:
    own.reset()
    return own


@pytest.mark.parametrize("path", [RESPONSES, MESSAGES, "/v1/messages/count_tokens", "/tokenize"])
def test_an_api_passes_for_the_model_whose_engine_serves_it(served: Stack, path: str) -> None:
    assert served.send(path=path).status == 200
    assert served.engines["assistant"].requests[-1].target == path
    response = served.send("coder", path=path)
    assert response.status == 404
    assert json.loads(response.read())["error"]["message"] == "This model is not served at this path."
    assert not served.engines["coder"].requests


@pytest.mark.parametrize(
    "path", ["/v1/responses/resp_1", "/v1/messages/batches", "/v1/rerank", "/detokenize", "/slots"]
)
def test_everything_else_stays_closed(served: Stack, path: str) -> None:
    assert served.send(path=path).status == 404
    assert not served.engines["assistant"].requests


@pytest.mark.parametrize(
    ("sent", "passes"),
    [
        ({}, True),
        ({"store": False, "previous_response_id": None, "background": False}, True),
        ({"metadata": {"store": "true", "conversation": "x"}}, True),
        ({"store": True}, False),
        ({"previous_response_id": "resp_1"}, False),
        ({"conversation": "conv_1"}, False),
        ({"conversation": {"id": "conv_1"}}, False),
        ({"background": True}, False),
    ],
)
def test_what_an_engine_would_have_to_remember_is_refused(
    served: Stack, sent: dict[str, object], passes: bool
) -> None:
    response = served.send(path=RESPONSES, body=json.dumps({"input": "Hi", "model": "assistant", **sent}).encode())
    if passes:
        assert response.status == 200
        return
    assert error(response) == (400, "unsupported_parameter")
    assert not served.engines["assistant"].requests
    # These words mean nothing elsewhere.
    assert served.send(body=json.dumps({"messages": [], "model": "assistant", **sent}).encode()).status == 200


@pytest.mark.parametrize(
    ("model", "key", "status", "kind"),
    [
        ("assistant", None, 401, "authentication_error"),
        ("assistant", "scoped", 403, "permission_error"),
        ("nobody", "good", 404, "not_found_error"),
        ("coder", "good", 404, "not_found_error"),
    ],
)
def test_errors_have_the_form_of_anthropics_api_at_its_paths(
    served: Stack, model: str, key: str | None, status: int, kind: str
) -> None:
    response = served.send(model, key=key, path=MESSAGES)
    assert response.status == status
    content = json.loads(response.read())
    assert content == {"type": "error", "error": {"message": content["error"]["message"], "type": kind}}


def test_an_engines_error_and_the_gateways_own_have_that_form_too(served: Stack) -> None:
    engine = served.engines["assistant"]
    engine.answer, engine.status = json.dumps({"error": {"message": 'No "x".', "type": "y", "code": 1}}).encode(), 400
    response = served.send(path=MESSAGES)
    assert (response.status, json.loads(response.read())) == (
        400,
        {"type": "error", "error": {"message": 'No "x".', "type": "invalid_request_error"}},
    )
    engine.status, engine.crash = 200, True
    response = served.send(path=MESSAGES)
    assert response.status in {502, 503}
    assert json.loads(response.read())["type"] == "error"


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/tokenize"])
def test_what_only_counts_a_prompt_takes_no_tokens(served: Stack, path: str) -> None:
    served.engines["assistant"].answer = b'{"input_tokens":17}'
    response = served.send(path=path)
    assert response.read() == b'{"input_tokens":17}'
    seen = served.log.line(response.getheader("x-request-id") or "")
    assert (seen.prompt_tokens, seen.completion_tokens, seen.estimated) == (None, None, None)
