"""A fleet of three hosts on this machine, one of which answers with garbage."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rackwright.errors import HostError
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.targets import targets
from rackwright.lifecycle.session.session import Session
from rackwright.remote import Completed, Remote
from rackwright.run import Run
from rackwright.values.targets import Target
from tests.fleet.fleets import make_fleet
from tests.wheel_plan import lock

HOSTILE = "gpu2"
"""The host that answers with garbage."""
_MARKER = re.compile(rb"\n[0-9a-f]{32} \d+ \d+\n")

Garble = Callable[[bytes], bytes]


@dataclass
class Transport:
    """Runs commands on this machine, and garbles their output."""

    garble: Garble
    is_root: bool = True
    login_key: str | None = None

    def execute(self, command: str, stdin: Iterable[bytes], *, timeout: float | None, limit: int) -> Completed:
        done = subprocess.run(["sh", "-c", command], input=b"".join(stdin), capture_output=True, check=False)
        return Completed(done.returncode, each_answer(done.stdout, self.garble), done.stderr)

    def pipe(self, command: str) -> Any:
        raise NotImplementedError

    def alive(self) -> bool:
        return True

    def close(self) -> None: ...


class Lost(Transport):
    """Every command loses the connection."""

    def execute(self, command: str, stdin: Iterable[bytes], *, timeout: float | None, limit: int) -> Completed:
        raise HostError("the connection was lost while a command ran")


def each_answer(output: bytes, garble: Garble) -> bytes:
    """Garble each answer of a batch, or the output of a single command."""
    ends = [*_MARKER.findall(output), b""]
    return b"".join(garble(text) + end for text, end in zip(_MARKER.split(output), ends, strict=True))


def session_with(garble: Garble, folder: Path) -> Session:
    # Whatever else filters packets on the machine of the tests.
    firewall = {"admin_from": ["10.0.0.0/8"], "clients_from": ["10.0.0.0/8"], "existing": "keep"}
    placed = {"gpu1": ["tiny@1"], HOSTILE: ["tiny@1"]}
    fleet = make_fleet(folder / "site.yml", replicas=placed, firewall=firewall)
    (folder / "site.keys.yml").write_text("format: keys/1\nkeys: []\n")
    locked = lock(fleet)
    locked = locked.model_copy(update={"ports": {host: {"tiny@1": 8100} for host in ("gpu1", HOSTILE)}})

    def transport(target: Target) -> Transport:
        return Transport(garble if target.name == HOSTILE else lambda text: text)

    runner = SimpleNamespace(plan=lambda *_, **__: Run())
    return Session(
        fleet, locked, host_specs(fleet, locked), Remote(targets(fleet), transport=transport), cast(Any, runner)
    )
