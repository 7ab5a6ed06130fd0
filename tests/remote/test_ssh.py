from __future__ import annotations

import socket

import pytest

from rackwright.errors import HostError, NotListening
from rackwright.remote.login import _transport
from rackwright.remote.ssh import reach
from rackwright.values.targets import Target


def test_a_port_at_which_nothing_listens_has_its_own_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        reach(Target("gpu1", "127.0.0.1", port=port), None).close()
    with pytest.raises(NotListening, match=f"unreachable at 127.0.0.1 port {port}: connection refused"):
        reach(Target("gpu1", "127.0.0.1", port=port), None)


def test_another_reason_is_not_taken_for_it() -> None:
    with pytest.raises(HostError) as unknown:
        reach(Target("gpu1", "no.such.host.invalid"), None)
    assert not isinstance(unknown.value, NotListening)


def test_a_cipher_that_checks_what_it_decrypts_comes_first_and_none_is_left_out() -> None:
    near, far = socket.socketpair()
    with near, far:
        offered = _transport(near).get_security_options().ciphers
    assert offered[:2] == ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
    assert "aes256-ctr" in offered
