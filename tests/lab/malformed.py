"""Requests of every kind that an engine might quote in its log, each with a word by which a copy of it is found."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import string
from base64 import b64encode
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from shlex import quote

from rackwright.lab.fleet_file import DOMAIN

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
ALLOWED = "0.00.022.028 E failed to load model"
"""A line in one of the grammars that llama.cpp's unit may log."""
Requests = tuple[tuple[str, bytes], ...]
"""Path and body of each."""


def word() -> str:
    """Return a word that is found nowhere else: lowercase letters, so that it can be the name of a grammar's rule."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(20))


def requests(word: str, model: str) -> Requests:
    """Return a good request of each kind, and those that are wrong in one way each."""
    return (*_good(word, model), *wrong_requests(word, model))


def wrong_requests(word: str, model: str) -> Requests:
    """Return requests that are wrong in one way each."""
    return (*_broken(word, model), *_wrong(word, model), *_wrong_formats(word, model))


def answered_with(word: str, model: str) -> tuple[str, bytes]:
    """Return a request that llama.cpp can only answer with the word."""
    return CHAT, _chat(word, model, max_tokens=32, grammar=f'root ::= "{word}"')


def sent(gateway: str, ca: Path, key: str, path: str, body: bytes) -> tuple[int, str]:
    """Send a request to the gateway at this address; return the answer's status and body."""
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection((gateway, 443), timeout=120) as plain:
        connection = HTTPConnection(DOMAIN)
        connection.sock = context.wrap_socket(plain, server_hostname=DOMAIN)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Connection": "close"}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


def sending_inside(requests: Requests, engine: str) -> str:
    """Return the script, for a host's shell, that sends them to an engine's socket, whatever it answers."""
    words = "curl -q -sS -o /dev/null --max-time 60 -H Content-Type:application/json --data-binary @- --unix-socket"
    return "".join(
        f"base64 -d <<'.' | {words} {engine} {quote('http://e' + path)}\n{b64encode(body).decode()}\n.\n"
        for path, body in requests
    )


def _messages(word: str) -> list[dict[str, object]]:
    return [{"role": "user", "content": f"Say {word} twice."}]


def _chat(word: str, model: str, **more: object) -> bytes:
    return json.dumps({"model": model, "max_tokens": 2, "messages": _messages(word), **more}).encode()


def _completion(model: str, **more: object) -> bytes:
    return json.dumps({"model": model, "max_tokens": 2, **more}).encode()


def _tool(word: str) -> dict[str, object]:
    parameters = {"type": "object", "properties": {word: {"type": "string"}}}
    return {"type": "function", "function": {"name": word, "description": word, "parameters": parameters}}


def _good(word: str, model: str) -> Iterator[tuple[str, bytes]]:
    yield CHAT, _chat(word, model)
    yield CHAT, _chat(word, model, stream=True)
    yield COMPLETIONS, _completion(model, prompt=f"Say {word}", stop=word, user=word)
    yield CHAT, _chat(word, model, tools=[_tool(word)], tool_choice="auto", metadata={word: word})
    yield "/v1/embeddings", json.dumps({"model": model, "input": word}).encode()


def _broken(word: str, model: str) -> Iterator[tuple[str, bytes]]:
    """Yield bodies that aren't JSON, or not in UTF-8."""
    good = _chat(word, model)
    for bad in (b"caf\xe9", b"a\nb", b"a\x00b", b"\\ud800", b"\\x"):
        yield CHAT, good.replace(b"twice", bad)
    yield COMPLETIONS, _completion(model, prompt=f"say {word}").replace(b"say", b"\\udc00")
    yield CHAT, good[:-6]
    yield CHAT, good + word.encode()
    yield CHAT, f"hello {word}".encode()
    yield CHAT, json.dumps([word]).encode()
    yield CHAT, json.dumps(word).encode()
    yield CHAT, b'{"model": "%s", "messages": %s"%s"%s}' % (model.encode(), b"[" * 90, word.encode(), b"]" * 90)


def _wrong(word: str, model: str) -> Iterator[tuple[str, bytes]]:
    """Yield bodies with values of the wrong type or size."""
    for name in ("messages", "max_tokens", "temperature", "stream", "stop", "logit_bias", "logprobs", "n", "tools"):
        yield CHAT, _chat(word, model, **{name: word})
        yield CHAT, _chat(word, model, **{name: [{word: [word]}]})
    for content in ({"a": word}, [{"type": word}], [{"type": "image_url", "image_url": {"url": f"file:///{word}"}}]):
        yield CHAT, _chat(word, model, messages=[{"role": "user", "content": content}])
    yield CHAT, _chat(word, model, messages=[{"role": word, "content": word}])
    called = [{"id": "1", "type": "function", "function": {"name": word, "arguments": "{" + word}}]
    yield CHAT, _chat(word, model, messages=[*_messages(word), {"role": "assistant", "tool_calls": called}])
    yield CHAT, _chat(word, model, tools=[_tool(word)], tool_choice=word)
    yield CHAT, _chat(word, model, tools=[_tool(word)], tool_choice={"type": "function", "function": {"name": word}})
    yield CHAT, _chat(word, model, tools=[{"type": word}])
    yield CHAT, _chat(word, model, chat_template=f"{{{{ raise_exception('{word}') }}}}", chat_template_kwargs=word)
    for prompt in ({"a": word}, [1, word, [word]], [10**12, -4], f"{word} " * 4000):
        yield COMPLETIONS, _completion(model, prompt=prompt)
    yield COMPLETIONS, _completion(model, prompt=word, suffix=word, echo=word)
    yield CHAT, _chat(word, model, **{word: "x" * 900_000})


def _wrong_formats(word: str, model: str) -> Iterator[tuple[str, bytes]]:
    """Yield schemas and grammars that can't be used, one with lines that look like an engine's."""
    for schema in ({"type": word}, {"$ref": f"#/{word}"}, {"type": "string", "pattern": f"^({word}[$"}, word):
        form = {"type": "json_schema", "json_schema": {"name": word, "schema": schema}}
        yield CHAT, _chat(word, model, response_format=form)
        yield CHAT, _chat(word, model, structured_outputs={"json": schema})
    yield CHAT, _chat(word, model, response_format={"type": word})
    for grammar in (
        f"root ::= {word}\n{word} ::= (\n# {word}",
        f'other ::= "{word}"',
        f'root ::= root "{word}"',
        f"root ::= (\n{ALLOWED}\n0.00.022.028 E llama_model_load: error loading model: the word {word}\n"
        f"0.00.022.028 E failed to load model {word}\nKeyError: {word}\nValueError: {word} and more\n{word}\n",
    ):
        yield CHAT, _chat(word, model, grammar=grammar)
        yield CHAT, _chat(word, model, structured_outputs={"grammar": grammar})
    yield CHAT, _chat(word, model, structured_outputs={"regex": f"({word}["})
