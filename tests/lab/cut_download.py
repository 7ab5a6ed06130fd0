"""A small archive over HTTP whose connections are cut by the host's packet filter in the middle of a file."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.lab.deployed import LabHost
from tests.lab.small_archive import FOLDER, SOURCES

_LIST, _SETTINGS, _ASIDE = "/etc/apt/sources.list.d/cut.list", "/etc/apt/apt.conf.d/99-cut", "/srv/aside"
_CUT = """nft -f - <<END
table ip cut {
  chain out { type filter hook output priority 0; ip daddr %(address)s tcp dport %(port)s drop; }
  chain in { type filter hook input priority 0; ip saddr %(address)s tcp sport %(port)s drop; }
}
END
"""


@contextmanager
def served_by_half(host: LabHost) -> Iterator[threading.Event]:
    """Serve the host's archive. The event is set when a package was cut: from then on, nothing gets through."""
    cut, address = threading.Event(), host.fleet.controller

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            done = host.lab.exec(host.name, f"base64 {FOLDER}/lab/{name}", check=False)
            if done.code:
                self.send_error(404)
                return
            content = base64.b64decode(done.out)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = len(content) // 2 if name.endswith(".deb") else 0
            self.wfile.write(content[:half])
            if half:
                host.tell(_CUT % {"address": address, "port": port})
                cut.set()
            self.wfile.write(content[half:])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    host.tell(
        f"mv {SOURCES} {_ASIDE}; echo 'Acquire::http::Timeout 1; Acquire::Retries 0;' >{_SETTINGS}\n"
        f"echo 'deb [trusted=yes] http://someone:secret@{address}:{port}/lab ./' >{_LIST}; apt-get -qq update"
    )
    try:
        yield cut
    finally:
        host.tell(f"nft delete table ip cut 2>/dev/null; rm -f {_LIST} {_SETTINGS}; mv {_ASIDE} {SOURCES}")
        server.shutdown()
        thread.join()
        server.server_close()
