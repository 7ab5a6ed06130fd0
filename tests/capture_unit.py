"""The unit that records requests, as a process of a test: the program as it runs on a gateway, without systemd."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyrage

from rackwright.roles.capture.role import TEMPLATES
from rackwright.roles.capture.settings import FILES, FOLDER, ORDERS, SERVICE, Orders
from rackwright.roles.capture.shipped import FOLDERS, MODULES
from tests.waiting import wait_until

MIGRATION = "leave-openai"


@dataclass
class CaptureUnit:
    """The program in `folder`, with systemd's part done by the test: it makes the socket."""

    folder: Path
    identity: Any = field(default_factory=pyrage.x25519.Identity.generate)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        for name in ("program", "files", *(f"program/{one}" for one in FOLDERS)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name, source in MODULES.items():
            (self.folder / "program" / name).write_text(source.read_text())

    def edit(self, module: str, old: str, new: str) -> None:
        """Change one text in a module of the program."""
        path = self.folder / "program/rackwright/roles/capture/program" / module
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def replace_redactor(self, text: str) -> None:
        (self.folder / "program/rackwright/migrate/redact/__init__.py").write_text(text)

    @property
    def socket(self) -> Path:
        return self.folder / "records.sock"

    @property
    def files(self) -> Path:
        return self.folder / "files" / MIGRATION

    def orders(self, **values: Any) -> Orders:
        usual: dict[str, Any] = {
            "migration": MIGRATION,
            "recipient": str(self.identity.to_public()),
            "until": int(time.time()) + 3600,
            "size": 2**30,
            "request": 2**20,
            "reserve": 0,
        }
        return Orders(**(usual | values))

    def order(self, **values: Any) -> None:
        (self.folder / "capture.json").write_text(self.orders(**values).model_dump_json())

    def start(self) -> None:
        self.launch()
        # It handles signals before it answers.
        assert self.send() == b"ok\n"

    def stopped_at_once(self) -> None:
        """Start it; return when it has ended, which it should do on its own."""
        self.launch()
        assert self.ended() == 3

    def launch(self) -> None:
        self.socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.socket))
            listener.listen(64)
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", 'exec "$@" 3<&0 0</dev/null', "sh", *self.command],
                stdin=listener,
                stderr=(self.folder / "messages").open("ab"),
            )

    @property
    def command(self) -> tuple[str, ...]:
        """What the unit starts, in the folders of this test."""
        (line,) = (line for line in (TEMPLATES / SERVICE).read_text().splitlines() if line.startswith("ExecStart="))
        here = {
            "/usr/bin/python3": sys.executable,
            FOLDER: f"{self.folder}/program",
            ORDERS: f"{self.folder}/capture.json",
            FILES: f"{self.folder}/files",
        }
        return tuple(here.get(word, word) for word in line.removeprefix("ExecStart=").split())

    def stop(self) -> int:
        """End it as systemd does; return its exit status."""
        assert self.process
        self.process.terminate()
        return self.process.wait(60)

    def reload(self) -> None:
        """Have it complete the file that is open."""
        assert self.process
        self.process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

    def ended(self) -> int:
        assert self.process
        return self.process.wait(60)

    @property
    def state(self) -> dict[str, Any]:
        place = self.files / "state.json"
        wait_until(place.exists)
        found: dict[str, Any] = json.loads(place.read_text())
        return found

    @property
    def complete(self) -> list[Path]:
        return sorted(self.files.glob("*.age"))

    def lost(self) -> int:
        return sum(self.state["dropped"].values())

    def records(self) -> list[dict[str, Any]]:
        """Return what its complete files have."""
        lines = [
            line for path in self.complete for line in pyrage.decrypt(path.read_bytes(), [self.identity]).splitlines()
        ]
        return [json.loads(line) for line in lines]

    def send(self, *bodies: bytes, extra: str = "") -> bytes:
        """Send requests as HAProxy does; return the unit's answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(self.socket))
            for number, body in enumerate(bodies):
                head = f"request {time.time():.6f} id-{number} good /v1/chat/completions gpt-4o-mini {len(body)}\n"
                connection.sendall(head.encode() + body)
            connection.sendall(f"{extra}end\n".encode())
            return connection.recv(100)
