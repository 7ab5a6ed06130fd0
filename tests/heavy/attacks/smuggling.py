"""Requests whose end two servers may see in different places, with another request inside that has no key."""

from __future__ import annotations

from collections.abc import Iterator

from tests.heavy.attacks.attack import Attack, answered_more_than
from tests.heavy.attacks.wire import CHAT, bearer, chat, request
from tests.heavy.attacks.words import Words

FAMILY = "smuggling"
LENGTHS = {
    "+": "+%d",
    "-": "-%d",
    "zeros": "000%d",
    "hexadecimal": "0x%x",
    "a space inside": "1 %d",
    "a comma": "%d, 0",
    "twice the same": "%d, %d",
    "a fraction": "%d.0",
    "an exponent": "%de0",
    "a letter": "%dA",
    "empty": "",
    "negative": "-1",
    "a NUL": "%d\0",
    "a vertical tab": "\x0b%d",
    "a semicolon": "%d;a=b",
    "an underscore": "1_%d",
}
"""What it is → a Content-Length, given the right one."""
ENCODINGS = {
    "xchunked": "xchunked",
    "a space before the colon": None,
    "chunked, identity": "chunked, identity",
    "identity": "identity",
    "identity, chunked": "identity, chunked",
    "gzip, chunked": "gzip, chunked",
    "chunked twice": "chunked, chunked",
    "CHUNKED": "CHUNKED",
    "in quotes": '"chunked"',
    "in single quotes": "'chunked'",
    "a tab first": "\tchunked",
    "a vertical tab": "\x0bchunked",
    "a NUL": "chunked\0",
    "a semicolon": "chunked;a=b",
    "a comma first": ",chunked",
    "a comma last": "chunked,",
    "folded": "x\r\n chunked",
    "folded name": "\r\n chunked",
    "cow": "cow",
    "chunked in full width": "\xef\xbd\x83hunked",
}
"""What it is → a Transfer-Encoding."""


def attacks(words: Words) -> Iterator[Attack]:
    key = bearer(words.scoped)
    inside = request("POST", CHAT, body=chat("other"))
    yield from _both(key, inside)
    yield from _lengths(key, inside)
    yield from _chunks(key, inside)
    yield from _lines(key, inside)
    yield from _pipelined(key, inside)


def _attack(name: str, sent: bytes, most: int = 1) -> Attack:
    return Attack(FAMILY, name, sent, answered_more_than(most))


def _post(*headers: tuple[str, str]) -> bytes:
    return request("POST", CHAT, [*headers, ("Content-Type", "application/json")], close=False)


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def _both(key: tuple[str, str], inside: bytes) -> Iterator[Attack]:
    """Yield requests with a length and an encoding."""
    body = chat()
    whole = _chunk(body) + b"0\r\n\r\n"
    for first in ("Content-Length", "Transfer-Encoding"):
        said = [("Content-Length", "%d"), ("Transfer-Encoding", "chunked")]
        said.sort(key=lambda one: one[0] != first)
        for what, length in (("short", 4), ("the first chunk", len(body)), ("all", len(whole) + len(inside))):
            headers = [(name, text.replace("%d", str(length))) for name, text in said]
            yield _attack(f"{first} first, {what}", _post(key, *headers) + whole + inside)
    for what, encoding in ENCODINGS.items():
        named = ("Transfer-Encoding ", "chunked") if encoding is None else ("Transfer-Encoding", encoding)
        for length in (len(body), len(whole)):
            sent = _post(key, ("Content-Length", str(length)), named) + (body if length == len(body) else whole)
            yield _attack(f"Content-Length {length}, encoding {what}", sent + inside)
    for second in ("identity", "x", "chunked"):
        headers = [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", second)]
        yield _attack(f"encodings chunked and {second}", _post(key, *headers) + whole + inside)
        if second != "chunked":
            yield _attack(f"encodings {second} and chunked", _post(key, *reversed(headers)) + whole + inside)


def _lengths(key: tuple[str, str], inside: bytes) -> Iterator[Attack]:
    body = chat()
    for what, text in LENGTHS.items():
        length = text.replace("%d", str(len(body))).replace("%x", f"{len(body):x}")
        yield _attack(f"a length with {what}", _post(key, ("Content-Length", length)) + body + inside)
    for first, second in ((len(body), 0), (0, len(body)), (len(body), len(body) + len(inside))):
        headers = [("Content-Length", str(first)), ("Content-Length", str(second))]
        yield _attack(f"lengths {first} and {second}", _post(key, *headers) + body + inside)
    yield _attack("a length in another name", _post(key, ("Content_Length", str(len(body)))) + body + inside)
    yield _attack("a length before a space", _post(key, ("Content-Length ", str(len(body)))) + body + inside)
    yield _attack("no length", _post(key) + body + inside)
    listed = request("GET", "/v1/models", [key, ("Content-Length", str(len(inside)))], close=False)
    yield _attack("GET with a body", listed + inside + inside)


def _chunks(key: tuple[str, str], inside: bytes) -> Iterator[Attack]:
    body, start = chat(), _post(key, ("Transfer-Encoding", "chunked"))
    size = b"%x" % len(body)
    sizes = {
        "0x": b"0x" + size,
        "zeros": b"0" * 20 + size,
        "a sign": b"+" + size,
        "a minus": b"-" + size,
        "a space first": b" " + size,
        "spaces after it": size + b"   ",
        "too many digits": b"f" * 17,
        "2^64 more": b"1" + size.rjust(16, b"0"),
        "an extension": size + b";a=b",
        "an extension with a quote": size + b';a="\r\n0\r\n\r\n"',
        "an extension with a lone line feed": size + b";a\nb",
        "an extension with a lone carriage return": size + b";a\rb",
        "a long extension": size + b";" + b"a" * 20_000,
        "nothing": b"",
        "a word": b"chunk",
        "a NUL": size + b"\0",
    }
    for what, text in sizes.items():
        yield _attack(f"a chunk's size with {what}", start + text + b"\r\n" + body + b"\r\n0\r\n\r\n" + inside)
    for what, end in (("a line feed", b"\n"), ("a carriage return", b"\r"), ("nothing", b""), ("a letter", b"x\r\n")):
        sent = start + size + b"\r\n" + body + end + b"0" + end + end + inside
        yield _attack(f"chunks that end with {what}", sent)
    ended = start + size + b"\r\n" + body + b"\r\n0\r\n"
    yield _attack(
        "trailers with a length", ended + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + inside
    )
    yield _attack("a request as trailer", ended + inside)
    yield _attack("no end", ended[:-3] + inside)


def _lines(key: tuple[str, str], inside: bytes) -> Iterator[Attack]:
    """Yield heads whose lines end in unusual ways."""
    body = chat()
    head = request("POST", CHAT, [key, ("Content-Length", str(len(body)))], close=False)
    for what, end in (
        ("line feeds", b"\n"),
        ("carriage returns", b"\r"),
        ("two of both", b"\r\r\n"),
        ("NULs", b"\0\r\n"),
    ):
        yield _attack(f"lines that end with {what}", head.replace(b"\r\n", end) + body + inside)
    yield _attack("empty lines first", b"\r\n" * 5 + head + body + inside)
    yield _attack(
        "a NUL in a header", _post(key, ("X-A", "b\0c"), ("Content-Length", str(len(body)))) + body + inside
    )
    yield _attack("a header without a colon", head.replace(b"Host:", b"Host\r\nX:") + body + inside)
    yield _attack("a header without a name", head.replace(b"Host:", b": x\r\nHost:") + body + inside)
    yield _attack("a folded length", head.replace(b"Length: ", b"Length:\r\n ") + body + inside)
    yield _attack("two hosts", head.replace(b"Host:", b"Host: gpu1\r\nHost:") + body + inside)
    yield _attack("a host with a path", head.replace(b"Host: ", b"Host: gpu1/metrics?") + body + inside)
    yield _attack("two versions", head.replace(b"HTTP/1.1", b"HTTP/1.1 HTTP/1.1", 1) + body + inside)
    yield _attack("a space in the address", head.replace(b"/v1", b"/metrics HTTP/1.1 /v1", 1) + body + inside)
    yield _attack("a request in the address", head.replace(b"/v1", b"/\r\n\r\n" + inside + b"/v1", 1) + body, 0)


def _pipelined(key: tuple[str, str], inside: bytes) -> Iterator[Attack]:
    listed = request("GET", "/v1/models", [key], close=False)
    good = _post(key, ("Content-Length", str(len(chat())))) + chat()
    yield _attack("one without a key after one with a key", good + inside)
    yield _attack("one without a key after the list", listed + inside)
    yield _attack("one without a key between two", listed + request("POST", CHAT, body=chat(), close=False) + inside)
    yield _attack("one of another model after one with a key", good + request("POST", CHAT, [key], chat("other")))
    kept = [key, ("Connection", "keep-alive")]
    yield _attack("HTTP/1.0", request("GET", "/v1/models", kept, close=False, version="HTTP/1.0") + inside)
    for name in ("Authorization", "x-api-key", "Content-Length", "Transfer-Encoding", "Host"):
        hop = _post(key, ("Connection", f"keep-alive, {name}"), ("Content-Length", str(len(chat()))))
        yield _attack(f"{name} for one hop", hop + chat() + inside)
    expects = _post(key, ("Expect", "100-continue"), ("Content-Length", str(len(chat()))))
    yield _attack("Expect", expects + chat() + inside)
    yield _attack("Expect twice", expects.replace(b"Expect", b"Expect: x\r\nExpect") + chat() + inside)
