"""A stand-in for a model hub: the questions that the lock asks, answered on loopback, over TLS.

    with StandInHub({"acme/tiny": {"model.gguf": b"…"}}) as hub: …  hub.url, hub.asked

Files that end in .gguf or .safetensors are in LFS, with their sha256; others are not, as on the real hub.
Paths below /plain/ are an ordinary web server, with ranges; below /moved/ they redirect to /plain/.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote, urlsplit

from rackwright.resolve.web import Web
from rackwright.route import Route
from tests.loopback_tls import bundle, server_tls

COMMIT = "c0ffee" + "0" * 34
LARGE = (".gguf", ".safetensors", ".bin")


class StandInHub:
    """Serves repositories (OWNER/NAME → path → content) from entering the context until leaving it."""

    def __init__(
        self,
        repositories: Mapping[str, Mapping[str, bytes]],
        *,
        token: str | None = None,
        address: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        plain_http: bool = False,
    ) -> None:
        self.repositories = dict(repositories)
        self.token = token
        """If set, requests without it are refused (401)."""
        self.address, self.tls = address, None if plain_http else tls or server_tls()
        self.commits = {"main": COMMIT, "v1": "1" * 40}
        """Branch or tag → commit."""
        self.at: dict[tuple[str, str], Mapping[str, bytes]] = {}
        """OWNER/NAME and commit → files, if they differ from the repository's."""
        self.cards: dict[str, object] = {}
        """OWNER/NAME → the head of its model card; a repository that isn't listed has no card."""
        self.plain: dict[str, bytes] = {}
        self.asked: list[str] = []
        """METHOD PATH of every request."""
        self.tokens: list[str | None] = []
        self.head = True
        """Whether HEAD is allowed."""
        self.ranges = True
        """Whether range requests are answered with parts of files."""
        self.generous = False
        """Whether a part is followed by all the rest."""
        self.sent = 0
        """Bytes of bodies."""
        self.hostile: bytes | Iterable[bytes] | None = None
        """Instead of what a repository has: a body, or one in parts, without end if they have none."""
        self.compressed = False
        """Whether `hostile` says that it is compressed with gzip."""
        self.status = 200
        """Of `hostile`."""
        self.warning: str | None = None
        """A header of `hostile` that huggingface-hub logs."""
        self.moved: str | None = None
        """Where requests about repositories redirect to: a URL without a path."""
        self.cut = 0
        """By how many bytes bodies end too early."""
        self.redirect: str | None = None
        """Where small files redirect to."""

    def __enter__(self) -> StandInHub:
        self._server = ThreadingHTTPServer((self.address, 0), type("Handler", (_Handler,), {"hub": self}))
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.address}:{self.port}"

    @property
    def site(self) -> dict[str, str]:
        """`downloads` in a fleet file that uses this hub."""
        return {"hub": self.url, "ca_bundle": bundle()}

    @property
    def route(self) -> Route:
        """A route that trusts it."""
        return Route(ca_bundle=bundle())

    @property
    def web(self) -> Web:
        return Web(self.route)

    @property
    def port(self) -> int:
        return self._server.server_port

    def describe(self, repository: str, revision: str) -> dict[str, object] | None:
        """The answer to GET /api/models/OWNER/NAME/revision/REVISION?blobs=true."""
        commit = revision if revision in self.commits.values() else self.commits.get(revision)
        if repository not in self.repositories or commit is None:
            return None
        siblings = [_sibling(path, content) for path, content in self.files(repository, commit).items()]
        described = {"id": repository, "modelId": repository, "sha": commit, "siblings": siblings}
        return described | ({"cardData": self.cards[repository]} if repository in self.cards else {})

    def files(self, repository: str, commit: str) -> Mapping[str, bytes]:
        return self.at.get((repository, commit)) or self.repositories.get(repository, {})


def _sibling(path: str, content: bytes) -> dict[str, object]:
    described: dict[str, object] = {"rfilename": path, "size": len(content), "blobId": "b" * 40}
    if path.endswith(LARGE):
        sha256 = hashlib.sha256(content).hexdigest()
        described["lfs"] = {"size": len(content), "sha256": sha256, "pointerSize": 130}
    return described


class _Handler(BaseHTTPRequestHandler):
    hub: StandInHub

    def do_HEAD(self) -> None:
        if not self.hub.head:
            self.hub.asked.append(f"HEAD {self.path}")
            self._send(405, b"")
            return
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.hub
        hub.asked.append(f"{self.command} {self.path}")
        hub.tokens.append(self.headers.get("Authorization"))
        path = unquote(urlsplit(self.path).path)
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._send(401, b"{}", {"X-Error-Code": "GatedRepo"})
        elif path.startswith("/api/models/") and hub.moved:
            self._send(302, b"", {"Location": f"{hub.moved}{self.path}"})
        elif path.startswith("/api/models/") and hub.hostile is not None:
            self._attack(hub.hostile)
        elif path.startswith("/api/models/"):
            repository, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            described = hub.describe(repository, unquote(revision))
            self._send(200 if described else 404, json.dumps(described or {"error": "none"}).encode())
        elif path.startswith("/moved/"):
            self._send(302, b"", {"Location": path.replace("/moved/", "/plain/")})
        elif path.startswith("/plain/"):
            self._content(hub.plain.get(path.removeprefix("/plain/")))
        elif hub.redirect:
            self._send(302, b"", {"Location": hub.redirect})
        else:
            repository, _, rest = path.strip("/").partition("/resolve/")
            commit, _, path = rest.partition("/")
            self._content(hub.files(repository, commit).get(path))

    def _attack(self, body: bytes | Iterable[bytes]) -> None:
        self.send_response(self.hub.status)
        if self.hub.compressed:
            self.send_header("Content-Encoding", "gzip")
        if self.hub.warning:
            self.send_header("X-HF-Warning", self.hub.warning)
        self.end_headers()
        self.close_connection = True
        for part in (body,) if isinstance(body, bytes) else body:
            if not self._write(part):
                return

    def _content(self, content: bytes | None) -> None:
        if content is None:
            self._send(404, b"")
        elif self.hub.ranges and (asked := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))):
            first, last = int(asked[1]), min(int(asked[2]), len(content) - 1)
            part = content[first:] if self.hub.generous else content[first : last + 1]
            self._send(206, part, {"Content-Range": f"bytes {first}-{last}/{len(content)}"})
        else:
            self._send(200, content)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._write(body[: len(body) - self.hub.cut] if status == 200 else body)

    def _write(self, body: bytes) -> bool:
        """Return whether the client took it all. One that wants no more of it hangs up."""
        with suppress(ConnectionError, ssl.SSLError):
            for first in range(0, len(body), 2**16):
                self.wfile.write(body[first : first + 2**16])
                self.hub.sent += min(2**16, len(body) - first)
            return True
        return False

    def log_message(self, format: str, *args: object) -> None:
        pass
