"""An impostor at the address of another gateway: it learns nothing about the use of keys."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from rackwright.roles.gateway.settings import Peer
from tests.gateway.certificates import CertificateAuthority
from tests.gateway.stack import Stack, eventually, free_port
from tests.gateway.test_downtime import reloaded


class Impostor:
    """Accepts each connection and records what it receives; "" if the gateway breaks off."""

    def __init__(self, certificate: Path) -> None:
        self.told: list[bytes] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(f"{certificate}.crt", f"{certificate}.key.cred")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.told.append(self._heard(connection))

    def _heard(self, connection: socket.socket) -> bytes:
        try:
            connection.settimeout(20)
            with self._context.wrap_socket(connection, server_side=True) as wrapped:
                return wrapped.recv(100)
        except OSError:
            return b""

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def at_the_address_of_gate2(stack: Stack, certificate: Path) -> Iterator[Impostor]:
    impostor = Impostor(certificate)
    peer = Peer(name="gate2", address=ip_address("127.0.0.1"), port=impostor.port)
    try:
        with reloaded(stack, peers=(peer,), peers_port=free_port()):
            yield impostor
    finally:
        impostor.close()


@pytest.mark.parametrize(("who", "told"), [("gate2", b"HAProxyS"), ("gate9", b""), ("a stranger", b"")])
def test_only_a_host_with_the_other_gateways_certificate_gets_the_counts(
    stack: Stack, tmp_path: Path, who: str, told: bytes
) -> None:
    ca, name = (CertificateAuthority(tmp_path), "gate2") if who == "a stranger" else (stack.ca, who)
    ca.issue("other", (name,), client=True, folder=tmp_path)
    with at_the_address_of_gate2(stack, tmp_path / "other") as impostor:
        eventually(lambda: impostor.told)
        assert impostor.told[0][:8] == told
