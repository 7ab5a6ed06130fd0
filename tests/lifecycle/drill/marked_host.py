"""A scratch host without a machine: it knows each script of a drill by its text, and answers as a test says."""

from __future__ import annotations

import threading
from base64 import b64encode
from dataclasses import dataclass, field
from types import SimpleNamespace

from rackwright.errors import HostError
from rackwright.lifecycle.drill.scratch_hosts import isolation_scripts, marker, wipe
from rackwright.lifecycle.drill.scratch_hosts.identity import IDENTITY
from rackwright.lifecycle.drill.scratch_hosts.marker import Marker
from rackwright.remote.completed import Completed

_STEPS = {
    wipe.WIPE: "wipe",
    wipe.REMAINS: "look",
    isolation_scripts.LIFT: "lift",
    marker._CLAIM: "claim",
    marker._SIGN: "sign",
    IDENTITY: "identity",
}
IDS = {"scratch1": "1" * 32, "scratch2": "2" * 32}


@dataclass
class MarkedHost:
    name: str
    marker: Marker | None = None
    remains: str = ""
    """What a wipe leaves, in the words of remains.sh."""
    failing: tuple[str, ...] = ()
    """Steps that fail."""
    steps: list[str] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    """Step → its last command."""
    signed: threading.Event = field(default_factory=threading.Event)

    @property
    def target(self) -> SimpleNamespace:
        return SimpleNamespace(name=self.name, address=f"10.0.0.9{self.name[-1]}", port=22)

    def run(self, command: str, *, stdin: str | None = None, **_: object) -> Completed:
        (step,) = (step for script, step in _STEPS.items() if command.endswith(script))
        self.steps.append(step)
        self.commands[step] = command
        if step == "sign":
            self.signed.set()
        if step in self.failing:
            raise HostError(f"{step} failed", where=self.name)
        said = {"look": f"{self.remains}end\n", "identity": self._identity()}.get(step, "")
        return Completed(0, said.encode(), b"", self.name)

    def _identity(self) -> str:
        lines = [f"machine-id {IDS[self.name]}", f"key ssh-ed25519 {self.name * 4}", f"address {self.target.address}"]
        if self.marker:
            packed = b64encode(self.marker.text.encode()).decode()
            lines += [f"marker {self.marker.sha256} {packed}", "seen 4000"]
        return "".join(f"{line}\n" for line in [*lines, "end"])
