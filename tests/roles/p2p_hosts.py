"""The program of roles/p2p, run for real on this machine: each host is a process with a loopback address."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import randrange
from typing import Any

from rackwright.fleet import x509 as certificates
from rackwright.values.secrets import Secret

PROGRAM = Path(__file__).parents[2] / "roles" / "p2p" / "templates" / "p2p.py"
PORT = 18301
MEGABYTE = 10**6
NAME = "p2p-0011223344556677-89ab"


@dataclass
class CertificateAuthority:
    key: Secret = field(default_factory=certificates.new_key)

    def __post_init__(self) -> None:
        self.now = datetime.now(UTC)
        self.pem = certificates.self_signed(certificates.load_key(self.key), "rackwright acme", self.now)

    def issue(self, name: str) -> tuple[str, str]:
        signer = certificates.load_key(self.key)
        issued = certificates.issue(self.pem, signer, (name,), client=True, days=1, now=self.now)
        return issued.certificate_pem, issued.key.reveal()


@dataclass
class Chain:
    """Hosts that pass on some files; number 0 has them."""

    folder: Path
    files: dict[str, bytes]
    rate: int = 0
    idle: int = 30
    net: str = field(default_factory=lambda: f"127.{randrange(64, 192)}.{randrange(256)}")  # noqa: S311 (no secret)
    """The addresses' network: random, so that tests can run at the same time."""
    name: str = NAME
    ca: CertificateAuthority = field(default_factory=CertificateAuthority)
    processes: dict[int, subprocess.Popen[str]] = field(default_factory=dict)

    def address(self, number: int) -> str:
        return f"{self.net}.{number + 1}"

    def run_folder(self, number: int) -> Path:
        return self.folder / f"run{number}"

    def data(self, number: int) -> Path:
        return self.folder / f"data{number}"

    def start(
        self,
        number: int,
        *,
        name: str | None = None,
        issuer: CertificateAuthority | None = None,
        peers: tuple[int, ...] | None = None,
    ) -> None:
        run, data = self.run_folder(number), self.data(number)
        for path in (run, data):
            path.mkdir(exist_ok=True)
        certificate, key = (issuer or self.ca).issue(name or self.name)
        asked = range(number - 1, -1, -1) if peers is None else peers
        plan = {
            "what": "assistant 0011223344556677",
            "torrent": self.name,
            "folder": str(data),
            "address": self.address(number),
            "port": PORT,
            "rate": self.rate,
            "files": {digest: len(content) for digest, content in self.files.items()},
            "first": number == 0,
            "idle": self.idle,
        }
        written = {"ca.pem": self.ca.pem, "certificate.pem": certificate, "key.pem": key}
        written |= {
            "plan.json": json.dumps(plan),
            "peers.json": json.dumps([[self.address(one), PORT] for one in asked]),
        }
        for file, text in written.items():
            (run / file).write_text(text)
            # As tar leaves them.
            os.utime(run / file, (0, 0))
        if number == 0:
            for digest, content in self.files.items():
                (data / digest).write_bytes(content)
        else:
            (run / "torrent").write_bytes((self.run_folder(0) / "torrent").read_bytes())
        self.processes[number] = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            env=os.environ | {"RUNTIME_DIRECTORY": str(run)},
            stderr=subprocess.PIPE,
            text=True,
        )

    def status(self, number: int) -> dict[str, Any]:
        path = self.run_folder(number) / "status.json"
        with suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads(path.read_text())
            return found
        return {"state": "starting", "bytes": 0}

    def state(self, number: int) -> str:
        return str(self.status(number)["state"])

    def made(self) -> bool:
        return (self.run_folder(0) / "torrent").exists()

    def whole(self, number: int) -> bool:
        return all((self.data(number) / digest).read_bytes() == content for digest, content in self.files.items())

    def kill(self, number: int) -> None:
        self.processes[number].kill()
        self.processes[number].communicate()

    def end(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.communicate(timeout=120)


Make = Callable[..., Chain]
"""Given sizes of files, and more fields of a Chain, starts host number 0 and returns when it has made the torrent."""


def contents(*sizes: int) -> dict[str, bytes]:
    made = [os.urandom(size) for size in sizes]
    return {hashlib.sha256(content).hexdigest(): content for content in made}
