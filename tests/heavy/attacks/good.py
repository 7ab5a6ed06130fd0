"""Requests as clients send them, which must be answered: the check of the check."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.heavy.attacks.attack import Attack, answered
from tests.heavy.attacks.wire import CHAT, ask, chat, request
from tests.heavy.attacks.words import Words

_SHORT = {"type": "string", "minLength": 1, "maxLength": 9}


def requests(words: Words) -> Iterator[Attack]:
    """Yield them in the form of attacks, whose success is to be answered."""
    body = chat()
    listed = [("Authorization", f"Bearer {words.scoped}")]
    kept = ask(words.scoped, body, close=False)
    chunked = ask(words.scoped, b"", ("Transfer-Encoding", "chunked"))
    made = {
        "a chat": ask(words.scoped, body),
        "a stream": ask(words.scoped, chat(more={"stream": True})),
        "a completion": ask(
            words.scoped,
            json.dumps({"model": "assistant", "prompt": "Hi", "max_tokens": 1}).encode(),
            path="/v1/completions",
        ),
        "the model's other name": ask(words.scoped, chat("gpt-4o-mini")),
        "the list of models": request("GET", "/v1/models", listed),
        "a query": ask(words.scoped, body, path=f"{CHAT}?api-version=2026-01-01"),
        "api-key": request("POST", CHAT, [("api-key", words.scoped)], body),
        "x-api-key": request("POST", CHAT, [("x-api-key", words.scoped)], body),
        "two in one connection": kept + ask(words.scoped, body),
        "in chunks": chunked + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
        "an absolute address": ask(words.scoped, body, path=f"https://llm.lab.internal{CHAT}"),
        "nesting below the limit": ask(words.scoped, body[:-1] + b',"x":' + b"[" * 99 + b"]" * 99 + b"}"),
        "a large body": ask(words.scoped, chat(more={"user": "x" * 900_000})),
        "a schema": ask(
            words.scoped,
            chat(more={"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": _SHORT}}}),
        ),
        "a grammar": ask(words.scoped, chat(more={"grammar": 'root ::= ("yes" | "no"){1,2}'})),
    }
    yield from (Attack("good", name, sent, answered) for name, sent in made.items())
