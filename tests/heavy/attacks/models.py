"""A key for one model, and requests that ask for another one in ways that two readers may read differently."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

from tests.heavy.attacks.attack import Attack, other_model
from tests.heavy.attacks.wire import CHAT, ask, bearer, chat, request
from tests.heavy.attacks.words import Words

FAMILY = "another model"
_REST = b'"max_tokens":1,"messages":[{"role":"user","content":"Say hi."}]'

BODIES = {
    "the name": b'"model":"other"',
    "allowed, then not": b'"model":"assistant","model":"other"',
    "not, then allowed": b'"model":"other","model":"assistant"',
    "three times": b'"model":"assistant","model":"other","model":"assistant"',
    "an escape in the second key": rb'"model":"assistant","mod\u0065l":"other"',
    "an escape in the first key": rb'"mod\u0065l":"other","model":"assistant"',
    "escapes for all of the key": rb'"\u006d\u006f\u0064\u0065\u006c":"other","model":"assistant"',
    "an escape in the name": rb'"model":"\u006fther"',
    "a slash with a backslash": rb'"model":"gpu1\/other@1"',
    "an escaped quote": rb'"model":"assistant\",\"model\":\"other"',
    "a key with a space after it": b'"model ":"other","model":"assistant"',
    "a key with a space before it": b'" model":"other","model":"assistant"',
    "a key in upper case": b'"MODEL":"other","model":"assistant"',
    "a key with a capital": b'"Model":"other","model":"assistant"',
    "a key with a NUL": rb'"model\u0000":"other","model":"assistant"',
    "a raw NUL in the key": b'"model\0":"other","model":"assistant"',
    "a key with a zero-width space": rb'"model\u200b":"other","model":"assistant"',
    "a name in upper case": b'"model":"OTHER"',
    "a name with a capital": b'"model":"Other"',
    "a name with a space after it": b'"model":"other "',
    "a name with a space before it": b'"model":" other"',
    "a name with a newline": rb'"model":"other\n"',
    "a name with a NUL": rb'"model":"assistant\u0000other"',
    "a name with a raw NUL": b'"model":"assistant\0other"',
    "a name with a tab": rb'"model":"other\t"',
    "a Cyrillic letter": '"model":"\u043ether"'.encode(),
    "full-width letters": '"model":"\uff4f\uff54\uff48\uff45\uff52"'.encode(),
    "both names": b'"model":"assistant,other"',
    "both names in a list": b'"model":["assistant","other"]',
    "a list": b'"model":["other"]',
    "an object": b'"model":{"id":"other"}',
    "null, then a name": b'"model":null,"model":"other"',
    "a number": b'"model":1',
    "true": b'"model":true',
    "an empty name": b'"model":""',
    "no name": b'"user":"other"',
    "nested before": b'"x":{"model":"assistant"},"model":"other"',
    "nested after": b'"model":"assistant","x":{"model":"other"}',
    "nested in a list": b'"x":[{"model":"assistant"}],"model":"other"',
    "in a text": rb'"x":"\"model\":\"assistant\"","model":"other"',
    "as a path": b'"$.model":"assistant","model":"other"',
    "far behind": b'"x":"' + b"a" * 60_000 + b'","model":"other"',
    "a replica": b'"model":"other@1"',
    "a replica with its host": b'"model":"gpu1/other@1"',
    "a backend": b'"model":"model.other"',
    "a line of the map": b'"model":"other other|0"',
    "a path upward": b'"model":"assistant/../other"',
    "percent signs": b'"model":"%6fther"',
    "a comment": b'/*"model":"assistant",*/"model":"other"',
    "single quotes": b"'model':'other','model':'assistant'",
    "an expression": b'"model":"%[str(other)]"',
    "other parameters": b'"model":"assistant","models":["other"],"route":"fallback","lora":[{"id":0,"scale":1}]',
}
"""What it is → the members that say which model."""


def attacks(words: Words) -> Iterator[Attack]:
    key = words.scoped
    for name, members in BODIES.items():
        yield _attack(name, ask(key, b"{" + members + b"," + _REST + b"}"))
    other, both = chat("other"), chat("assistant")[:-1] + b',"model":"other"}'
    for name, body in _documents(other).items():
        yield _attack(name, ask(key, body))
    for path in ("/v1/completions", "/v1/embeddings"):
        yield _attack(
            f"the name, {path}", ask(key, json.dumps({"model": "other", "prompt": "a"}).encode(), path=path)
        )
        yield _attack(f"in the query, {path}", ask(key, b'{"prompt":"a"}', path=f"{path}?model=other"))
    for name in ("X-Model", "X-Rackwright-Model", "OpenAI-Model", "X-Rackwright-Server"):
        yield _attack(f"in {name}", ask(key, chat(), (name, "other")))
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "a/b\tc"):
        yield _attack(f"as {kind}", request("POST", CHAT, (bearer(key), ("Content-Type", kind)), other))
    yield _attack("a form", request("POST", CHAT, (bearer(key),), b"model=assistant&model=other&prompt=a"))
    yield _attack("compressed", ask(key, gzip.compress(other), ("Content-Encoding", "gzip")))
    chunked = ask(key, b"", ("Transfer-Encoding", "chunked"))
    for size in (1, 7, 64):
        pieces = (both[at : at + size] for at in range(0, len(both), size))
        chunks = b"".join(b"%x;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        yield _attack(f"in chunks of {size}", chunked + chunks + b"0\r\n\r\n")


def _attack(name: str, sent: bytes) -> Attack:
    return Attack(FAMILY, name, sent, other_model)


def _documents(other: bytes) -> dict[str, bytes]:
    return {
        "a mark before the text": b"\xef\xbb\xbf" + other,
        "UTF-16": other.decode().encode("utf-16"),
        "UTF-32": other.decode().encode("utf-32"),
        "UTF-7": b"+AHs-" + other[1:],
        "two documents": chat("assistant") + b"\n" + other,
        "a list of documents": b"[" + chat("assistant") + b"," + other + b"]",
        "spaces first": b" \r\n\t" * 1000 + other,
        "text first": b'model="assistant";' + other,
        "text afterward": other + b'{"model":"assistant"}',
        "a NUL first": b"\0" + other,
        "an open document first": b'{"model":"assistant",' + other,
    }
