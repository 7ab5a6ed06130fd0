"""One replica's probe: checks the engine at its socket, writes the replica's state, restarts a hung engine once."""

from __future__ import annotations

from rackwright.launch import Task
from rackwright.roles.replica.settings import ReplicaName
from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.paths import HostPath
from rackwright.values.text import Line, ServedName

KINDS = ("probe", "loading", "unfit", "evidence", "ended", "pause", "agent")
"""The probe's scripts."""

DEADLINE = 10
"""Seconds."""


def stem(replica: str) -> str:
    """Return the beginning of the names of a replica's (<model>@<n>) probe units."""
    # Without @: a socket with Accept=yes starts instances of the template that is named by the part before its @, and
    # two replicas of a model would share that template. A model's name can't end in .probe or .agent.
    return f"rackwright-{replica.replace('@', '-')}"


class Settings(Frozen):
    replica: ReplicaName
    unit: Line
    socket: HostPath
    served_name: ServedName
    task: Task = Task.GENERATE
    counter: Line
    """Metric that moves while the engine works."""
    busy: tuple[Line, ...]
    """Metrics whose sum is greater than zero while the engine has requests."""
    agent_port: Port
    """Loopback port at which the host proxy asks for the state."""
    gpus_file: HostPath | None = None
    """The unit's drop-in that names the replica's GPUs; None: it has none."""
    group_file: HostPath | None = None
    """File with the state of the replica's other members; None: it has none."""
    hint: Line | None = None
    """What to check if the engine stops making progress while it loads."""
    every_seconds: int = 2
    idle_seconds: int = 6
    """How often an idle engine is asked for a token or an embedding; each request costs it work."""
    deadline_seconds: int = DEADLINE
    """Within this time, a busy engine's counter must move, and an idle engine must answer a short request.
    A host whose load is at least twice its number of cores gets up to three times as long."""

    stall_seconds: int = 600
    """A loading engine is stuck if, within this time, it has used less than a hundredth of it in CPU time and read
    almost nothing. Loading weights may take hours."""
    longest_load_seconds: int = 6 * 3600
    """A load that takes longer counts as hung, even if it makes progress. 700 GB at 50 MB/s take four hours."""
    most_restarts: int = 3
    """After this many restarts by systemd without ever being ready, the replica counts as faulted."""

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
        """The template unit; the socket starts one instance of it for each connection."""
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
