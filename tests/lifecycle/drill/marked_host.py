"""A scratch host without a machine: it knows each script of a drill by its text, and answers as a test says."""

from __future__ import annotations

import threading
from base64 import b64encode
from dataclasses import dataclass, field

from rackwright.errors import HostError
from rackwright.lifecycle.drill.scratch_hosts import isolation_scripts, marker, wipe
from rackwright.lifecycle.drill.scratch_hosts.identity import IDENTITY
from rackwright.lifecycle.drill.scratch_hosts.marker import Marker
from rackwright.remote.completed import Completed
from rackwright.values.targets import Target

_STEPS = {
    wipe.WIPE: "wipe",
    wipe.REMAINS: "look",
    isolation_scripts.LIFT: "lift",
    isolation_scripts.LOOK: "isolation",
    marker._CLAIM: "claim",
    marker._SIGN: "sign",
    marker._LEAVE: "leave",
    IDENTITY: "identity",
}
_ADDRESSES = {
    "scratch1": "10.0.0.91",
    "scratch2": "10.0.0.92",
    "gate1": "10.0.0.10",
    "gpu1": "10.0.0.11",
    "gpu2": "10.0.0.12",
}


@dataclass
class MarkedHost:
    name: str
    marker: Marker | None = None
    remains: str = ""
    """What a wipe leaves, in the words of remains.sh."""
    failing: tuple[str, ...] = ()
    """Steps that fail."""
    taken: bool = False
    """Whether another drill has taken it over."""
    steps: list[str] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    """Step → its last command."""
    same_as: str = ""
    """The host of which this one is another name."""
    address: str = ""
    """An address that it has besides its own."""
    isolated: bool = True
    """Whether the drill's isolation is in force."""
    more: tuple[str, ...] = ()
    """More of its identity, in the words of identity.sh."""
    signed: threading.Event = field(default_factory=threading.Event)

    @property
    def target(self) -> Target:
        return Target(self.name, _ADDRESSES[self.name])

    def run(self, command: str, *, stdin: str | None = None, **_: object) -> Completed:
        (step,) = (step for script, step in _STEPS.items() if command.endswith(script))
        self.steps.append(step)
        self.commands[step] = command
        if step == "sign":
            self.signed.set()
        if step in self.failing:
            raise HostError(f"{step} failed", where=self.name)
        if step == "sign" and self.taken:
            return Completed(75, b"", b"another drill has taken this host\n", self.name)
        answers = {
            "look": f"{self.remains}end\n",
            "identity": self._identity(),
            "isolation": "closed\n" if self.isolated else "open\n",
        }
        said = answers.get(step, "")
        return Completed(0, said.encode(), b"", self.name)

    def _identity(self) -> str:
        machine = self.same_as or self.name
        lines = [
            f"machine-id {machine.encode().hex():0<32}",
            f"key ssh-ed25519 {machine * 4}",
            *(f"address {address}" for address in (self.target.address, self.address) if address),
        ]
        if self.marker:
            packed = b64encode(self.marker.text.encode()).decode()
            lines += [f"marker {self.marker.sha256} {packed}", "seen 4000"]
        return "".join(f"{line}\n" for line in [*lines, *self.more, "end"])
