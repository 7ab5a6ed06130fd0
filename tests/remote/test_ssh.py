from __future__ import annotations

import socket

import pytest

from rackwright.errors import HostError, NotListening
from rackwright.remote.ssh import reach
from rackwright.values import Target


def test_a_port_at_which_nobody_listens_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        reach(Target("gpu1", "127.0.0.1", port=port), None).close()
    with pytest.raises(NotListening, match=f"unreachable at 127.0.0.1 port {port}: connection refused"):
        reach(Target("gpu1", "127.0.0.1", port=port), None)


def test_another_reason_is_not_taken_for_it() -> None:
    with pytest.raises(HostError) as unknown:
        reach(Target("gpu1", "no.such.host.invalid"), None)
    assert not isinstance(unknown.value, NotListening)
