"""A real mail server on loopback: Debian's aiosmtpd, with TLS of the loopback CA."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.loopback_tls import server_files

LOGIN = ("rackwright", "pass w0rd@smtp")
_PYTHON = "/usr/bin/python3"
_PROGRAM = Path(__file__).with_name("smtp_program.py")


@dataclass(frozen=True)
class SmtpServer:
    folder: Path
    port: int

    @property
    def place(self) -> str:
        """As `server` in the fleet file says it."""
        return f"127.0.0.1:{self.port}"

    @property
    def mails(self) -> list[dict[str, Any]]:
        """Each mail that it accepted: from, to, tls, user, content."""
        path = self.folder / "mails.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def smtp_server(
    folder: Path,
    tls: str = "starttls",
    login: tuple[str, str] | None = LOGIN,
    refused: Mapping[str, int] | None = None,
) -> Iterator[SmtpServer]:
    """Yield a server with this TLS (starttls, implicit, none), which requires the login if there is one.

    `refused`: recipient → the code that it is refused with.
    """
    certificate, key = server_files()
    order = {
        "folder": str(folder),
        "tls": tls,
        "login": login,
        "refused": dict(refused or {}),
        "certificate": str(certificate),
        "key": str(key),
    }
    with subprocess.Popen(
        [_PYTHON, "-I", str(_PROGRAM), json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line, "the mail server didn't start: is python3-aiosmtpd installed?"
            yield SmtpServer(folder, int(line))
        finally:
            process.kill()
