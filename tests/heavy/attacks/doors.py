"""Connections past the gateway: to other ports, to engines with wrong certificates, and to sshd without a key."""

from __future__ import annotations

import json
import re
import shlex
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import paramiko

from rackwright.fleet.ca import CertificateAuthority
from tests.heavy.attacks.attack import Attempt
from tests.heavy.attacks.outside import Through
from tests.heavy.attacks.site import AUDITOR, Site

FAMILY = "other doors"
PORTS = (
    *(21, 23, 53, 80, 111, 2019, 2375, 2376, 2379, 2380, 3000, 5353, 5432, 6379, 6443, 8000, 8080, 8100, 8101, 8102),
    *(8300, 8301, 8404, 8443, 9000, 9090, 9100, 9400, 10250, 11434, 18100, 18101, 29500),
)
"""None of these is open to clients. 443 is at a gateway, 22 to admins."""
_FROM = """
import json, socket, sys, threading
def reach(host, port):
    with socket.socket() as asked:
        asked.settimeout(2)
        if not asked.connect_ex((host, port)):
            print(host, port, flush=True)
jobs = [threading.Thread(target=reach, args=one) for one in json.load(sys.stdin)]
[job.start() for job in jobs]
[job.join() for job in jobs]
"""
TARGETS = (("127.0.0.1", 22), ("127.0.0.1", 18100), ("gpu1", 8100), ("gate1", 443))
"""Where an auditor would want to connect from a host."""
_PROHIBITED = 1
"""SSH_OPEN_ADMINISTRATIVELY_PROHIBITED of RFC 4254."""
USERS = ("root", "ops", AUDITOR, "haproxy", "rw-assistant", "nobody")
OLD = (
    *("diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1", "ssh-dss"),
    *(
        "ssh-rsa",
        "3des-cbc",
        "aes128-cbc",
        "aes256-cbc",
        "arcfour",
        "hmac-md5",
        "hmac-sha1",
        "hmac-sha1-96",
        "none-mac",
    ),
)


def attempts(site: Site) -> Iterator[Attempt]:
    """Yield logins at sshd without a key that it knows, and algorithms that are broken. All must reach sshd.

    After a few failures, sshd refuses this machine for a while, so these are few, and come last.
    """
    for number, user in enumerate(USERS):
        host = ("gate1", "gpu1")[number % 2]
        for way in ("nothing", "a password", "an empty password", *(["a key of its own"] if number < 2 else [])):
            yield Attempt(FAMILY, f"sshd as {user} with {way}", partial(_login, site, host, user, way))
    for host in ("gate1", "gpu1"):
        yield Attempt(FAMILY, f"sshd of {host} with old algorithms", partial(_old, site, host))


def closed(site: Site) -> list[tuple[str, str, int]]:
    """Return the connections that should fail: where from, where to. The controller is an admin, spare1 is nobody."""
    ours = [site.fleet.hosts[host] for host in ("gate1", "gpu1")]
    both = [("", host, port) for host in ours for port in PORTS]
    return [*both, *(("spare1", host, port) for _, host, port in both), *(("spare1", host, 22) for host in ours)]


def opened(site: Site, wanted: list[tuple[str, str, int]]) -> list[Through]:
    """Return the connections that were made."""
    found = []
    for origin in dict.fromkeys(origin for origin, _, _ in wanted):
        asked = json.dumps([(host, port) for where, host, port in wanted if where == origin])
        program = f"python3 -c {shlex.quote(_FROM)}"
        out = site.tell(origin, program, input=asked) if origin else _here(asked)
        found += [
            Through(FAMILY, f"from {origin or 'the controller'}", f"reached {line}") for line in out.splitlines()
        ]
    return found


def _here(asked: str) -> str:
    words = [sys.executable, "-c", _FROM]
    return subprocess.run(words, input=asked, capture_output=True, text=True, timeout=120, check=True).stdout


def certificates(site: Site) -> dict[str, str]:
    """Return what a host with the gateway's address could show to a replica's port: name → PEM, "" for nothing."""
    folder = site.operator.path.parent
    own = CertificateAuthority(site.fleet.name, folder / "own.ca.crt", folder)
    signed = {
        f"for {name}{'' if client else ', not for clients'}": (site.authority, name, client)
        for name, client in (
            ("gate1", False),
            ("gpu1", True),
            ("gate2", True),
            ("gate1.", True),
            ("*", True),
            ("GATE1", True),
        )
    }
    signed["of another CA"] = (own, "gate1", True)
    made = {}
    for what, (ca, name, client) in signed.items():
        issued = ca.issue((name,), client=client, days=1)
        made[what] = issued.certificate_pem + issued.key.reveal()
    return {"none": "", **made}


def good_certificate(site: Site) -> str:
    """Return a gateway's certificate, with which a replica's port must answer: that the others are refused means
    something."""
    issued = site.authority.issue(("gate1",), client=True, days=1)
    return issued.certificate_pem + issued.key.reveal()


def shown(site: Site, certificate: str, port: int = 8100) -> str:
    """Show this certificate to a replica's port, from the gateway's host; return the answer's status, "" if none."""
    file = "/root/shown.pem"
    site.tell("gate1", f"umask 077; cat >{file}", input=certificate)
    flag = f"--cert {file}" if certificate else ""
    url = f"https://{site.fleet.hosts['gpu1']}:{port}/health"
    said = site.tell("gate1", f"curl -sk -m 10 -o /dev/null -w '%{{http_code}}' {flag} {url} || true")
    return "" if said == "000" else said


def _transport(site: Site, host: str) -> paramiko.Transport:
    return paramiko.Transport(socket.create_connection((site.fleet.hosts[host], 22), timeout=20))


def _login(site: Site, host: str, user: str, way: str) -> str:
    transport = _transport(site, host)
    try:
        transport.start_client(timeout=20)
        with suppress(paramiko.AuthenticationException):
            if way == "nothing":
                transport.auth_none(user)
            elif way == "a key of its own":
                transport.auth_publickey(user, paramiko.ECDSAKey.generate())
            else:
                transport.auth_password(user, "" if "empty" in way else user)
        return f"logged in as {user}" if transport.is_authenticated() else ""
    finally:
        transport.close()


def forwarded(site: Site, host: str, user: str, key: Path) -> list[str]:
    """Return where this user, who may log in with this key, gets further by sshd."""
    transport, found = _transport(site, host), []
    try:
        transport.start_client(timeout=20)
        transport.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(str(key)))
        for place in TARGETS:
            if _connects(transport, place):
                found.append(f"to {place}")
        with suppress(paramiko.SSHException):
            found.append(f"back from {transport.request_port_forward('127.0.0.1', 0)}")
    finally:
        transport.close()
    return found


def _connects(transport: paramiko.Transport, place: tuple[str, int]) -> bool:
    """Return whether sshd connects to this place, or tries to."""
    try:
        transport.open_channel("direct-tcpip", place, ("127.0.0.1", 1), timeout=20).close()
    except paramiko.ChannelException as refused:
        return refused.code != _PROHIBITED
    return True


def _old(site: Site, host: str) -> str:
    """Return the broken algorithms that sshd offers in its first message."""
    with socket.create_connection((site.fleet.hosts[host], 22), timeout=20) as asked, asked.makefile("rb") as told:
        asked.sendall(b"SSH-2.0-attack\r\n")
        assert told.readline().startswith(b"SSH-2.0-")
        (size,) = struct.unpack(">I", told.read(4))
        offered = told.read(size)
    assert b"curve25519" in offered
    return ", ".join(name for name in OLD if re.search(rb"(?<![a-z0-9-])%s(?![a-z0-9@-])" % name.encode(), offered))
