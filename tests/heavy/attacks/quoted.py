"""Requests that an engine might quote in a log: every kind of malformed body and path, with a word to look for."""

from __future__ import annotations

from collections.abc import Iterator

from tests.heavy.attacks.attack import Attack, breaks
from tests.heavy.attacks.wire import CHAT, ask, bearer, chat, request
from tests.heavy.attacks.words import Words
from tests.lab.malformed import wrong_requests

FAMILY = "malformed"


def attacks(words: Words) -> Iterator[Attack]:
    for number, (path, body) in enumerate(wrong_requests(words.canary, "assistant")):
        yield Attack(FAMILY, f"body {number:02}", ask(words.scoped, body, path=path), breaks)
    # Paths are logged; a key in one is masked.
    for name, path in (("a path", f"/{words.scoped}"), ("a query", f"{CHAT}?{words.canary}={words.scoped}")):
        yield Attack(FAMILY, f"a key in {name}", request("GET", path, [bearer(words.scoped)]), breaks)
    for name in ("User-Agent", "Referer", "X-Forwarded-For", "Host", "Cookie", "X-Request-Id", "Content-Type"):
        yield Attack(FAMILY, f"a word in {name}", ask(words.scoped, chat(), (name, words.canary)), breaks)
    for name, sent in (
        ("no HTTP", f"{words.canary} {words.scoped}\r\n\r\n".encode()),
        ("a method", request(words.canary.upper(), CHAT, [bearer(words.scoped)])),
        ("a version", request("GET", CHAT, [bearer(words.scoped)], version=f"HTTP/{words.canary}")),
        ("a broken header", request("GET", CHAT, [(f"{words.canary} x", words.scoped)])),
        ("a chunk", ask(words.scoped, b"", ("Transfer-Encoding", "chunked")) + words.canary.encode() + b"\r\n\r\n"),
    ):
        yield Attack(FAMILY, f"a word as {name}", sent, breaks)
