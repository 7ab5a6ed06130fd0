"""One replica's probe: reads at the socket whether the engine works, writes the state, restarts a hung one once."""

from __future__ import annotations

from rackwright.roles.replica.settings import ReplicaName
from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.paths import HostPath
from rackwright.values.text import Line, ServedName

KINDS = ("probe", "loading", "unfit", "evidence", "agent")
"""Its scripts."""


def stem(replica: str) -> str:
    """Return what the names of a replica's (<model>@<n>) probe units begin with."""
    # Without @: a socket with Accept=yes starts instances of the template named by what stands before its @,
    # which two replicas of a model would share. A model can't end in .probe or .agent.
    return f"rackwright-{replica.replace('@', '-')}"


class Settings(Frozen):
    replica: ReplicaName
    unit: Line
    socket: HostPath
    served_name: ServedName
    counter: Line
    """Metric that moves while the engine works."""
    busy: tuple[Line, ...]
    """Metrics whose sum is above zero while requests are in the engine."""
    agent_port: Port
    """Loopback port on which the host proxy asks for the state."""
    gpus_file: HostPath | None = None
    """The drop-in of the unit that names the replica's GPUs; None: it has none."""
    group_file: HostPath | None = None
    """Where it stands how the replica's other members are; None: it has none."""
    hint: Line | None = None
    """What to look at where its load leads nowhere."""
    every_seconds: int = 2
    idle_seconds: int = 6
    """An idle engine is asked for a token this often: each costs it work."""
    deadline_seconds: int = 10
    """While busy the counter must move, while idle a one-token completion must come back, within this time.
    A host whose load is twice its cores or more gets up to three times as long."""

    stall_seconds: int = 600
    """An engine that loads and has computed for less than a hundredth of this time, and read next to nothing, leads
    nowhere. Weights may take hours."""
    longest_load_seconds: int = 6 * 3600
    """Whatever it does: after this time a load counts as hung. 700 GB at 50 MB/s take four hours."""
    most_restarts: int = 3
    """Times that systemd has started the engine again, and it was never ready, after which it counts as faulted."""

    @property
    def _stem(self) -> str:
        return stem(self.replica)

    @property
    def service(self) -> str:
        return f"{self._stem}.probe.service"

    @property
    def timer(self) -> str:
        return f"{self._stem}.probe.timer"

    @property
    def agent_socket(self) -> str:
        return f"{self._stem}.agent.socket"

    @property
    def agent(self) -> str:
        """The template of which the socket starts one instance for each question."""
        return f"{self._stem}.agent@.service"

    @property
    def units(self) -> tuple[str, ...]:
        """Every systemd unit of this probe."""
        return (self.service, self.timer, self.agent_socket, self.agent)

    @property
    def scripts(self) -> dict[str, str]:
        """Path of each of its scripts, by kind."""
        return {kind: f"{self.script}.{kind}" for kind in KINDS}

    @property
    def script(self) -> str:
        """Path of its scripts, without their kind."""
        return f"/etc/rackwright/{self.replica}"
