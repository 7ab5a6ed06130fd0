"""Requests without a valid key: none, wrong ones, a right one in a wrong place, and ways around the check."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from hashlib import sha256

from tests.heavy.attacks.attack import Attack, answered
from tests.heavy.attacks.wire import CHAT, bearer, chat, request
from tests.heavy.attacks.words import Words

FAMILY = "without a key"


def attacks(words: Words) -> Iterator[Attack]:
    rows = {**_none(words), **_wrong(words), **_misplaced(words), **_made_up()}
    for name, headers in rows.items():
        yield _attack(name, request("POST", CHAT, headers, chat()))
    yield from _elsewhere(words)


def _attack(name: str, sent: bytes) -> Attack:
    return Attack(FAMILY, name, sent, answered)


def _none(words: Words) -> dict[str, list[tuple[str, str]]]:
    return {
        "no key": [],
        "empty header": [("Authorization", "")],
        "scheme alone": [("Authorization", "Bearer")],
        "scheme and a space": [("Authorization", "Bearer ")],
        "null": [bearer("null")],
        "undefined": [bearer("undefined")],
        "star": [bearer("*")],
        "an empty api-key": [("api-key", "")],
        "an empty x-api-key": [("x-api-key", "")],
        "an id": [bearer("scoped")],
        "an id of a key with all models": [bearer("whole")],
        "the id's part of a key": [bearer("rw-scoped")],
        "a revoked key": [bearer(words.revoked)],
        "an expired key": [bearer(words.expired)],
        "a revoked x-api-key": [("x-api-key", words.revoked)],
        "an expired api-key": [("api-key", words.expired)],
    }


def _wrong(words: Words) -> dict[str, list[tuple[str, str]]]:
    key, digest = words.scoped, sha256(words.scoped.encode()).hexdigest()
    return {
        "a key in upper case": [bearer(key.upper())],
        "a key in lower case": [bearer(key.lower())],
        "a key reversed": [bearer(key[::-1])],
        "a key that is too long": [bearer(key + "A")],
        "a key that is too short": [bearer(key[:-1])],
        "a key without its beginning": [bearer(key.removeprefix("rw-"))],
        "a key in quotes": [bearer(f'"{key}"')],
        "a key in single quotes": [bearer(f"'{key}'")],
        "a key in angle brackets": [bearer(f"<{key}>")],
        "a key with a NUL": [bearer(f"{key}%00")],
        "a key with a newline": [bearer(f"{key}%0d%0a")],
        "a key after another": [bearer(f"x, Bearer {key}")],
        "a key in base64": [bearer(base64.b64encode(key.encode()).decode())],
        "Basic": [("Authorization", "Basic " + base64.b64encode(f"scoped:{key}".encode()).decode())],
        "Basic without a user": [("Authorization", "Basic " + base64.b64encode(f":{key}".encode()).decode())],
        "Token": [("Authorization", f"Token {key}")],
        "Digest": [("Authorization", f'Digest username="scoped", response="{key}"')],
        "no scheme": [("Authorization", key)],
        "the hash of a key": [bearer(digest)],
        "the hash in upper case": [bearer(digest.upper())],
        "the hash as x-api-key": [("x-api-key", digest)],
        "the hash and a model": [bearer(f"{digest}/assistant")],
        "the line of the keys file": [bearer(f"{digest} scoped|0|all|0|0|")],
        "the value of the keys file": [bearer("whole|0|all|0|0|")],
        "a wrong key next to the hash": [bearer("x"), ("x-api-key", digest)],
    }


def _misplaced(words: Words) -> dict[str, list[tuple[str, str]]]:
    names = (
        *("Proxy-Authorization", "X-Authorization", "X-Forwarded-Authorization", "X-Original-Authorization"),
        *("WWW-Authenticate", "Authentication", "X-Auth-Token", "X-Access-Token", "apikey", "x_api_key", "api_key"),
        *("X-API-Key-Id", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key", "X-Rackwright-Key", "Trailer"),
    )
    rows = {f"a key in {name}": [(name, f"Bearer {words.scoped}")] for name in names}
    rows |= {f"a bare key in {name}": [(name, words.scoped)] for name in names}
    return rows | {
        "a key in a cookie": [("Cookie", f"authorization={words.scoped}; x-api-key={words.scoped}")],
        "a space before the colon": [("Authorization ", f"Bearer {words.scoped}")],
        "a space before the name": [(" Authorization", f"Bearer {words.scoped}")],
        "a folded header": [("X-A", f"b\r\n Authorization: Bearer {words.scoped}")],
        "a header after a lone line feed": [("X-A", f"b\nAuthorization Bearer {words.scoped}")],
        "a header after a lone carriage return": [("X-A", f"b\rAuthorization: Bearer {words.scoped}")],
    }


def _made_up() -> dict[str, list[tuple[str, str]]]:
    return {
        "whose key it was": [("X-Rackwright-Key-Id", "whole"), ("X-Key", "whole")],
        "a replica of its choice": [
            ("X-Rackwright-Replica", "gpu1/other@1"),
            ("X-Rackwright-Server", "gpu1/other@1"),
        ],
        "already passed on": [("X-Rackwright-Passed", "1"), ("X-Request-Id", "whole")],
        "from the host itself": [("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1")],
        "from a gateway": [("Forwarded", "for=127.0.0.1;by=gate1;proto=https;host=gate1")],
        "with a client certificate": [("X-SSL-Client-CN", "gate1"), ("X-Client-Verify", "SUCCESS")],
        "for another host": [("X-Forwarded-Host", "gpu1:8100"), ("X-Host", "gpu1")],
        "for another path": [("X-Original-URL", "/v1/models"), ("X-Rewrite-URL", "/ready")],
        "with another method": [("X-HTTP-Method-Override", "GET"), ("X-Method-Override", "OPTIONS")],
        "before a preflight": [("Origin", "null"), ("Access-Control-Request-Method", "POST")],
    }


def _elsewhere(words: Words) -> Iterator[Attack]:
    """Yield requests with the key in the address or the body."""
    key = words.scoped
    for name in ("api_key", "api-key", "key", "access_token", "token", "authorization"):
        yield _attack(f"a key in the query, {name}", request("POST", f"{CHAT}?{name}={key}", (), chat()))
        yield _attack(f"a key in the body, {name}", request("POST", CHAT, (), chat(more={name: key})))
    yield _attack("a key as user", request("POST", f"https://{key}@llm.lab.internal{CHAT}", (), chat()))
    yield _attack("a key as password", request("POST", f"https://a:{key}@llm.lab.internal{CHAT}", (), chat()))
    yield _attack("a key in the path", request("POST", f"/{key}{CHAT}", (), chat()))
    yield _attack("a key after a semicolon", request("POST", f"{CHAT};key={key}", (), chat()))
    yield _attack("a key as Host", request("POST", CHAT, [("Host", key)], chat()))
    trailer = [("Transfer-Encoding", "chunked"), ("Trailer", "Authorization"), ("Content-Type", "application/json")]
    body = chat()
    chunks = b"%x\r\n%s\r\n0\r\nAuthorization: Bearer %s\r\n\r\n" % (len(body), body, key.encode())
    yield _attack("a key in a trailer", request("POST", CHAT, trailer) + chunks)
    yield _attack("the list of models", request("GET", "/v1/models"))
    yield _attack("the list of models by HEAD", request("HEAD", "/v1/models"))
    yield _attack("HTTP/1.0", request("GET", "/v1/models", version="HTTP/1.0"))
    yield _attack("whether an engine is ready", request("GET", "/ready"))
