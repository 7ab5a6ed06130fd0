"""A real, append-only rest-server on loopback, which gives each login its own folder."""

from __future__ import annotations

import base64
import hashlib
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.roles.backup.settings import Access, Repository
from rackwright.values.secrets import Secret
from tests.loopback_tls import bundle, server_files
from tests.waiting import wait_until

USERS = ("gate1", "gpu1", "gpu2", "kit")


@dataclass
class RestServer:
    """An append-only server; whoever may write to `folder` may delete."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    ca: str = field(default_factory=lambda: Path(bundle()).read_text())

    @property
    def url(self) -> str:
        """What `backup.to.url` says."""
        return f"rest:https://127.0.0.1:{self.port}"

    def repository(self, user: str) -> Repository:
        url = f"{self.url}/{user}"
        return Repository(name="web", url=url, user=user, append_only=True, own_ca=True)

    def access(self, user: str, password: str) -> Access:
        return Access(Secret(password), login=Secret(login_of(user)), ca_pem=self.ca)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def login_of(user: str) -> str:
    """Return the user's password at the server."""
    return f"l0gin/with@signs/{user}"


def start(folder: Path, port: int | None = None) -> RestServer:
    """Start a server that keeps its repositories in this folder, on this port or a free one."""
    users = "".join(f"{user}:{{SHA}}{_sha1(login_of(user))}\n" for user in USERS)
    (folder / ".htpasswd").write_text(users)
    certificate, key = server_files()
    port = port or _free_port()
    words = ["--path", str(folder), "--append-only", "--private-repos", "--listen", f"127.0.0.1:{port}", "--tls"]
    process = subprocess.Popen(
        ["restic-rest-server", *words, "--tls-cert", str(certificate), "--tls-key", str(key)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = RestServer(folder, port, process)
    wait_until(lambda: _answers(port))
    return server


def _sha1(text: str) -> str:
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()  # noqa: S324 # htpasswd's format


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
