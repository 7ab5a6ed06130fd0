from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.client.request import FromController
from rackwright.lifecycle.verify import ports as ports_module
from rackwright.lifecycle.verify.ports import OpenPort, open_ports


@dataclass(frozen=True)
class Mute:
    where: str = "nowhere"

    def shell(self, script: str, timeout: float) -> str:
        return ""


@contextmanager
def hangs_up(listener: socket.socket) -> Iterator[None]:
    """Within the block, accept connections and close them at once."""

    def take() -> None:
        with suppress(OSError):
            while True:
                listener.accept()[0].close()

    taking = threading.Thread(target=take, daemon=True)
    taking.start()
    yield
    # close() doesn't wake a thread that waits in accept(); it would take connections of the next listener.
    listener.shutdown(socket.SHUT_RDWR)
    taking.join()


def test_a_port_that_listens_is_open_though_it_says_nothing(monkeypatch):
    monkeypatch.setattr(ports_module, "SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as opened, socket.create_server(("127.0.0.1", 0)) as shut:
        ports = [listener.getsockname()[1] for listener in (opened, shut)]
        shut.close()
        assert open_ports(FromController(), ("127.0.0.1",), tuple(ports)) == (
            OpenPort("127.0.0.1", ports[0], "127.0.0.1"),
        )


def test_each_address_is_tried_at_every_port():
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
        hangs_up(four),
        hangs_up(six),
    ):
        ports = (four.getsockname()[1], six.getsockname()[1])
        found = open_ports(FromController(), ("::1", "127.0.0.1"), tuple(sorted({*range(1, 1001), *ports})))
    assert [port for port in found if port.port in ports] == [
        OpenPort("::1", ports[1], "::1"),
        OpenPort("127.0.0.1", ports[0], "127.0.0.1"),
    ]


def test_ports_that_were_not_tried_are_not_called_closed():
    with pytest.raises(RackwrightError, match="0 of 2 ports were tried"):
        open_ports(Mute(), ("10.0.0.1",), (8100, 8101))
