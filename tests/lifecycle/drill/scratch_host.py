"""Scratch hosts without hosts: connections whose transport answers with prepared texts, or runs a real sh here."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.errors import HostError
from rackwright.remote.completed import Completed
from rackwright.remote.connection import Connection
from rackwright.values.targets import Target


@dataclass
class Answers:
    """A transport that gives each command's answer; HostError if there is none."""

    answer: Callable[[str, str], str | None]
    is_root: bool = True
    login_key: str | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    def execute(self, command: str, stdin: Iterable[bytes], *, timeout: float | None, limit: int) -> Completed:
        text = b"".join(stdin).decode()
        self.asked.append((command, text))
        said = self.answer(command, text)
        if said is None:
            raise HostError("unreachable")
        return Completed(0, said.encode())

    def pipe(self, command: str) -> None:
        raise NotImplementedError

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        pass


def host(
    name: str, answer: str | Callable[[str, str], str | None] | None, *, address: str = "10.9.0.1"
) -> Connection:
    """Return a connection to a host that answers this text, or what the function returns for command and input."""
    answers = Answers(answer if callable(answer) else lambda *_: answer)
    return Connection(Target(name, address), transport=lambda _: answers)  # type: ignore[arg-type, return-value]


def run(script: str, *arguments: str, stdin: str = "", path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script with a real sh. Programs in the folder `path` take precedence."""
    environment: Mapping[str, str] = {
        "PATH": f"{path}:/usr/sbin:/usr/bin:/sbin:/bin" if path else "/usr/sbin:/usr/bin"
    }
    return subprocess.run(
        ["sh", "-c", script, "sh", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
