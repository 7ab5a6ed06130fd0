"""Attacks on TLS: old versions, weak ciphers, renegotiation, other names, and data before or without it."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from rackwright.lab.fleet_file import DOMAIN
from tests.heavy.attacks.attack import Attempt
from tests.heavy.attacks.site import Site
from tests.heavy.attacks.wire import CHAT, PATIENCE, bearer, chat, exchange, request

FAMILY = "TLS"
VERSIONS = {"TLS 1.0": ssl.TLSVersion.TLSv1, "TLS 1.1": ssl.TLSVersion.TLSv1_1}
CIPHERS = (
    *(
        "NULL-SHA256",
        "aNULL",
        "AES128-SHA",
        "AES256-SHA256",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "CAMELLIA128-SHA",
    ),
    *("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"),
    *("PSK", "SRP", "ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-NULL-SHA", "ARIA128-GCM-SHA256"),
)
"""Without authentication, encryption or forward secrecy, or with CBC."""
NAMES = ("gpu1", "gate1", "evil.example", "a.llm.lab.internal", "lab.internal", "127.0.0.1", "localhost")
"""Names that the gateway's certificate isn't for."""
PLAIN = {
    "a request without TLS": request("GET", "/v1/models"),
    "PROXY version 1 before TLS": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 443\r\n",
    "PROXY version 2 before TLS": bytes.fromhex("0d0a0d0a000d0a515549540a2111000c7f0000017f00000100010001"),
    "SSLv2": bytes.fromhex("802e0100020015001000100100800700c0030080010080060040040080020080") + b"\0" * 16,
    "an empty record": bytes.fromhex("1603010000"),
    "a heartbeat": bytes.fromhex("18030200030140 00"),
    "a record that is too long": bytes.fromhex("160301ffff") + b"\0" * 70_000,
    "zeros": b"\0" * 4096,
}


def attempts(site: Site) -> Iterator[Attempt]:
    acts: dict[str, Callable[[], str]] = {
        **{name: partial(_shaken, site, highest=version) for name, version in VERSIONS.items()},
        **{ciphers: partial(_shaken, site, ciphers=ciphers) for ciphers in CIPHERS},
        **{f"as {name}": partial(_trusted_as, site, name) for name in NAMES},
        **{name: partial(_answered, site, sent) for name, sent in PLAIN.items()},
        "renegotiation": partial(_renegotiated, site),
        "a session resumed by a ticket": partial(_resumed, site),
        "a client certificate of its own": partial(_with_own_certificate, site),
    }
    yield from (Attempt(FAMILY, name, act) for name, act in acts.items())


def _plain(site: Site) -> socket.socket:
    return socket.create_connection((site.gateway, 443), timeout=PATIENCE)


def _lax() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:eNULL:@SECLEVEL=0")
    return context


def _shaken(site: Site, *, highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2, ciphers: str = "") -> str:
    """Return what was agreed on, "" if nothing was."""
    context = _lax()
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, highest
    try:
        if ciphers:
            context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        with _plain(site) as plain, context.wrap_socket(plain, server_hostname=DOMAIN) as connection:
            return f"agreed on {connection.version()} {connection.cipher()}"
    except (ssl.SSLError, OSError):
        return ""


def _trusted_as(site: Site, name: str) -> str:
    """Return whether a client that wants this name would send its key."""
    context = ssl.create_default_context(cafile=site.ca)
    try:
        with _plain(site) as plain, context.wrap_socket(plain, server_hostname=name):
            return f"has a certificate for {name}"
    except ssl.SSLCertVerificationError:
        return ""


def _answered(site: Site, sent: bytes) -> str:
    whole = sent
    if sent.startswith((b"PROXY", b"\r\n\r\n\0")):
        # What follows would be a client's hello.
        hello = ssl.MemoryBIO()
        with suppress(ssl.SSLWantReadError):
            _lax().wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
        whole += hello.read()
    with _plain(site) as connection:
        connection.sendall(whole)
        # Otherwise, the gateway would wait for the rest of a hello.
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        seen = exchange(connection, b"")
    # A server's hello is a record of type 22; an alert, of type 21.
    shaken = seen.rest.startswith(b"\x16")
    return "was answered" if shaken or any(answer.status < 400 for answer in seen.answers) else ""


def _renegotiated(site: Site) -> str:
    """Ask for another handshake within the first, as openssl does for a line with R."""
    words = ["openssl", "s_client", "-connect", f"{site.gateway}:443", "-servername", DOMAIN, "-tls1_2"]
    done = subprocess.run(words, input="R\n", capture_output=True, text=True, timeout=PATIENCE, check=False)
    said = done.stdout + done.stderr
    assert "RENEGOTIATING" in said, said
    return "" if "no renegotiation" in said or "unsafe legacy renegotiation" in said else "was let"


def _resumed(site: Site) -> str:
    context = ssl.create_default_context(cafile=site.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with _plain(site) as plain, context.wrap_socket(plain, server_hostname=DOMAIN) as connection:
        session = connection.session
    return "got a ticket" if session and session.has_ticket else ""


def _with_own_certificate(site: Site) -> str:
    """Return whether a client certificate takes the place of a key."""
    context = ssl.create_default_context(cafile=site.ca)
    path = site.operator.path.with_name("own.pem")
    issued = site.authority.issue(("gate1",), client=True, days=1)
    path.write_text(issued.certificate_pem + issued.key.reveal())
    context.load_cert_chain(path)
    with context.wrap_socket(_plain(site), server_hostname=DOMAIN) as connection:
        seen = exchange(connection, request("POST", CHAT, body=chat()))
    return next((f"was answered {answer.status}" for answer in seen.answers if answer.status < 400), "")


def good(site: Site) -> str:
    """Return what a client with a key agrees on and gets, for comparison."""
    context = ssl.create_default_context(cafile=site.ca)
    with context.wrap_socket(_plain(site), server_hostname=DOMAIN) as connection:
        seen = exchange(connection, request("GET", "/v1/models", [bearer(site.keys["scoped"])]))
    return str(seen.answers[0].status)
