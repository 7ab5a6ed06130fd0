from __future__ import annotations

from rackwright.operations.facts.listening import Socket, parse_listening

_SS = """\
udp UNCONN 0      0        0.0.0.0:68   0.0.0.0:* users:(("python3",pid=556,fd=5))
udp UNCONN 0      0      127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=312,fd=13))
udp UNCONN 0      0      [fe80::1]%eth0:546 [::]:* users:(("systemd-network",pid=1,fd=20))
tcp LISTEN 0      128    127.0.0.1:5000 0.0.0.0:* users:(("python3",pid=556,fd=3))
tcp LISTEN 0      128      0.0.0.0:22   0.0.0.0:* users:(("sshd",pid=78,fd=6),("systemd",pid=1,fd=90))
tcp LISTEN 0      4096           *:9100       *:* users:(("node \\"x\\"",pid=9,fd=3))
tcp LISTEN 0      128         [::]:22      [::]:* users:(("sshd",pid=78,fd=7))
tcp LISTEN 0      64       0.0.0.0:2049 0.0.0.0:*
"""


def test_sockets_are_read_with_who_holds_them() -> None:
    assert parse_listening(_SS) == (
        Socket("udp", "0.0.0.0", 68, "python3", 556),
        Socket("udp", "127.0.0.53", 53, "systemd-resolve", 312),
        Socket("udp", "fe80::1", 546, "systemd-network", 1),
        Socket("tcp", "127.0.0.1", 5000, "python3", 556),
        Socket("tcp", "0.0.0.0", 22, "sshd", 78),
        Socket("tcp", "*", 9100, 'node \\"x\\"', 9),
        Socket("tcp", "::", 22, "sshd", 78),
        Socket("tcp", "0.0.0.0", 2049),
    )


def test_loopback_is_known_in_both_families() -> None:
    loopback = [socket.port for socket in parse_listening(_SS) if socket.is_loopback]
    assert loopback == [53, 5000]
    assert Socket("tcp", "::1", 1).is_loopback


def test_lines_of_another_shape_are_left_out() -> None:
    assert parse_listening("\nnonsense\nu_str LISTEN 0 0 /run/x 1 * 0\ntcp LISTEN 0 0 1.2.3.4:ssh *:*\n") == ()
