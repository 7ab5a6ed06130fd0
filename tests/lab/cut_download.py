"""A small archive over HTTP whose connections are cut by the host's packet filter in the middle of a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.lab.deployed import LabHost
from tests.lab.small_archive import FOLDER, SOURCES

_SETTINGS = "/etc/apt/apt.conf.d/99-cut"


@contextmanager
def served_by_half(host: LabHost) -> Iterator[threading.Event]:
    """Serve the host's archive. The event is set when a package was cut: from then on, nothing gets through."""
    cut = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            done = host.lab.exec(host.name, f"base64 {FOLDER}/lab/{name}", check=False)
            if done.code:
                self.send_error(404)
                return
            import base64

            content = base64.b64decode(done.out)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if name.endswith(".deb"):
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                drop = f"ip daddr {host.fleet.controller} tcp dport {port} drop"
                host.tell(f"nft add table ip cut; nft 'add chain ip cut out {{ type filter hook output priority 0; }}';"
                          f"nft add rule ip cut out {drop}; nft 'add chain ip cut in {{ type filter hook input priority 0; }}';"
                          f"nft add rule ip cut in ip saddr {host.fleet.controller} tcp sport {port} drop")
                cut.set()
                content = content[len(content) // 2 :]
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((host.fleet.controller, 0), Handler)
    port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    source = f"deb [trusted=yes] http://someone:secret@{host.fleet.controller}:{port}/lab ./"
    host.tell(
        f"mv {SOURCES} /srv/aside; echo '{source}' >/etc/apt/sources.list.d/cut.list; apt-get -qq update;"
        f"echo 'Acquire::http::Timeout 1; Acquire::Retries 0;' >{_SETTINGS}"
    )
    try:
        yield cut
    finally:
        host.tell(
            f"nft delete table ip cut 2>/dev/null; rm -f /etc/apt/sources.list.d/cut.list {_SETTINGS}; mv /srv/aside {SOURCES}"
        )
        server.shutdown()
        thread.join()
        server.server_close()
