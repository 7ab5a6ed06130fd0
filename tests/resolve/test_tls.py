"""TLS in a command that reaches hosts: both ends are greenlets of one process, so neither may block."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.gateway.certificates import CertificateAuthority

_BOTH_ENDS = """
import sys
from rackwright.cli.common.context import hosts_needed
hosts_needed()
assert "ssl" not in sys.modules
from rackwright.resolve.tls import cooperative_tls
cooperative_tls()
cooperative_tls()
import gevent, socket, ssl
certificate, key = sys.argv[1:]
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain(certificate, key)
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    plain, _ = listener.accept()
    with server.wrap_socket(plain, server_side=True) as answering:
        answering.sendall(answering.recv(100).upper())
serving = gevent.spawn(serve)
client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
with client.wrap_socket(socket.create_connection(listener.getsockname())) as asking:
    asking.sendall(b"hello")
    print(asking.recv(100).decode())
serving.join()
"""


def test_it_waits_as_sockets_do(tmp_path: Path) -> None:
    CertificateAuthority(tmp_path).issue("end", ("127.0.0.1",), client=False)
    argv = [sys.executable, "-c", _BOTH_ENDS, str(tmp_path / "end.crt"), str(tmp_path / "end.key.cred")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("HELLO\n", "")
