"""The fetch script with a real HTTPS server that resumes, sends wrong data, breaks off and asks for a token."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rackwright.operations.filesystem.fetch import FETCH

pytestmark = pytest.mark.lab

BYTES = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(BYTES).hexdigest()


@dataclass
class Source:
    """What the server sends, and the requests that it got."""

    content: bytes = BYTES
    cut_at: int | None = None
    ranges: bool = True
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    """Range and Authorization of each request."""


@dataclass(frozen=True)
class Server:
    url: str
    certificate: Path
    source: Source

    def fetch(self, folder: Path, *, url: str | None = None, headers: str = "") -> subprocess.CompletedProcess[str]:
        words = ["sh", "-c", FETCH, "fetch", "m.gguf", self.url if url is None else url, str(folder / SHA256)]
        words += [str(len(BYTES)), SHA256, "--cacert", str(self.certificate), "--noproxy", "*"]
        return subprocess.run(words, input=headers, capture_output=True, text=True, timeout=60, check=False)


def _handler(source: Source) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            source.asked.append((wanted, self.headers["Authorization"]))
            start = int(wanted[6:-1]) if wanted and source.ranges else 0
            body = source.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(source.content) - 1}/{len(source.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cut, source.cut_at = source.cut_at, None
            self.wfile.write(body if cut is None else body[:cut])

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def self_signed(key: Path, certificate: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    key, certificate = tmp_path / "key.pem", tmp_path / "crt.pem"
    self_signed(key, certificate)
    source = Source()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(source))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield Server(f"https://localhost:{httpd.server_port}/m.gguf", certificate, source)
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "incoming"
    path.mkdir()
    return path


def verified(folder: Path) -> bytes | None:
    path = folder / f"{SHA256}.verified"
    return path.read_bytes() if path.exists() else None


def test_a_cut_connection_is_resumed_within_one_run(server: Server, folder: Path) -> None:
    server.source.cut_at = 300_000
    done = server.fetch(folder)
    assert done.returncode == 0, done.stderr
    assert verified(folder) == BYTES
    assert [wanted for wanted, _ in server.source.asked] == [None, "bytes=300000-"]


def test_what_an_earlier_run_left_is_gone_on_with(server: Server, folder: Path) -> None:
    (folder / SHA256).write_bytes(BYTES[:500_000])
    assert server.fetch(folder).returncode == 0
    assert verified(folder) == BYTES
    assert server.source.asked == [("bytes=500000-", None)]


def test_a_server_that_cannot_resume_is_asked_from_the_start(server: Server, folder: Path) -> None:
    server.source.ranges = False
    (folder / SHA256).write_bytes(BYTES[:500_000])
    done = server.fetch(folder)
    assert done.returncode == 0, done.stderr
    assert verified(folder) == BYTES


def test_a_flipped_bit_is_named_and_never_in_place(server: Server, folder: Path) -> None:
    server.source.content = BYTES[:-1] + b"\x00"
    done = server.fetch(folder)
    assert done.returncode == 1
    found = hashlib.sha256(server.source.content).hexdigest()
    assert f"m.gguf: sha256 is {found}, should be {SHA256}; removed" in done.stderr
    assert verified(folder) is None
    assert not (folder / SHA256).exists()


def test_a_truncated_file_is_kept_for_the_next_run_and_never_in_place(server: Server, folder: Path) -> None:
    server.source.content = BYTES[:1000]
    done = server.fetch(folder)
    assert f"1000 of {len(BYTES)} bytes arrived" in done.stderr
    assert (done.returncode, verified(folder)) == (1, None)
    assert (folder / SHA256).stat().st_size == 1000


def test_the_token_goes_as_a_header_and_stands_in_no_argument(server: Server, folder: Path) -> None:
    assert server.fetch(folder, headers="Authorization: Bearer hf_secret\n").returncode == 0
    assert server.source.asked == [(None, "Bearer hf_secret")]


def test_plain_http_is_refused_at_once(server: Server, folder: Path) -> None:
    done = server.fetch(folder, url=server.url.replace("https", "http"))
    refused_at_once(done, server)


@pytest.mark.parametrize("ca", ["another", "none"])
def test_an_unknown_ca_is_refused_at_once(server: Server, folder: Path, tmp_path: Path, ca: str) -> None:
    server.certificate.write_text("")
    if ca == "another":
        self_signed(tmp_path / "another.key", server.certificate)
    refused_at_once(server.fetch(folder), server)


def refused_at_once(done: subprocess.CompletedProcess[str], server: Server) -> None:
    assert done.returncode == 1
    assert done.stderr.count("curl: (") == 1, done.stderr
    assert server.source.asked == []


def test_a_copy_from_the_controller_is_hashed_like_any_other(server: Server, folder: Path) -> None:
    (folder / SHA256).write_bytes(BYTES[:-1] + b"\x00")
    assert server.fetch(folder, url="").returncode == 1
    (folder / SHA256).write_bytes(BYTES)
    assert server.fetch(folder, url="").returncode == 0
    assert verified(folder) == BYTES


def test_a_full_disk_is_named_and_nothing_is_in_place(server: Server, folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], check=True)
    try:
        done = server.fetch(folder)
        assert done.returncode == 1
        assert f"m.gguf: can't be written to {folder}: 0 free" in done.stderr
        assert verified(folder) is None
    finally:
        subprocess.run(["umount", str(folder)], check=True)
