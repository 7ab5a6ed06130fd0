"""A stand-in for a package index (PEP 691) and the wheels that it serves: a few bytes each, on loopback, over TLS.

with StandInIndex({"tiny": [wheel("tiny", "1.0")]}) as index: …  index.url, index.asked
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote

from rackwright.route import Route
from tests.loopback_tls import bundle, server_tls


@dataclass(frozen=True)
class Wheel:
    name: str
    """NAME-VERSION-PYTHON-ABI-PLATFORM.whl"""
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def wheel(
    package: str,
    version: str,
    tag: str = "py3-none-any",
    *,
    needs: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
) -> Wheel:
    """Return a wheel that pip installs, with these files next to its metadata; without any, an empty module."""
    about = f"{package}-{version}.dist-info"
    required = "".join(f"Requires-Dist: {need}\n" for need in needs)
    every = {
        **({f"{package}/__init__.py": f"tag = {tag!r}\n"} if files is None else files),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n{required}",
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    every[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in (*every, f"{about}/RECORD"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in every.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (0o100755 if ".data/scripts/" in path else 0o100644) << 16
            archive.writestr(entry, text)
    return Wheel(f"{package}-{version}-{tag}.whl", packed.getvalue())


class StandInIndex:
    """Serves packages (name → wheels) from entering the context until leaving it."""

    def __init__(
        self,
        packages: Mapping[str, Sequence[Wheel]],
        *,
        sizes: bool = True,
        hashes: bool = True,
        plain_http: bool = False,
    ) -> None:
        self.packages = packages
        self.tls = None if plain_http else server_tls()
        self.sizes, self.hashes = sizes, hashes
        """Whether it reports sizes and hashes, as PyPI does."""
        self.asked: list[str] = []

    def __enter__(self) -> StandInIndex:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"index": self}))
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
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._server.server_port}/simple"

    @property
    def route(self) -> Route:
        """A route that trusts it."""
        return Route(ca_bundle=bundle())

    @property
    def site(self) -> dict[str, str]:
        """`downloads` in a fleet file that uses this index."""
        return {"package_index": self.url, "ca_bundle": bundle()}

    def url_of(self, one: Wheel) -> str:
        return self.url.removesuffix("simple") + f"files/{one.name}"

    def page(self, package: str) -> bytes | None:
        wheels = self.packages.get(package)
        files = [self._file(one) for one in wheels or ()]
        described = {"meta": {"api-version": "1.1"}, "name": package, "versions": [], "files": files}
        return json.dumps(described).encode() if wheels else None

    def content(self, name: str) -> bytes | None:
        return next((one.content for some in self.packages.values() for one in some if one.name == name), None)

    def _file(self, one: Wheel) -> dict[str, object]:
        told: dict[str, object] = {"filename": one.name, "url": f"../../files/{one.name}"}
        told["hashes"] = {"sha256": one.sha256} if self.hashes else {}
        return {**told, "size": len(one.content)} if self.sizes else told


class _Handler(BaseHTTPRequestHandler):
    index: StandInIndex

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.index.asked.append(self.path)
        folder, _, name = unquote(self.path).strip("/").partition("/")
        body = self.index.page(name) if folder == "simple" else self.index.content(name)
        self.send_response(404 if body is None else 200)
        kind = "application/vnd.pypi.simple.v1+json" if folder == "simple" else "application/zip"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass
