"""One replica's probe: reads at the socket whether the engine works, writes the state, restarts a hung one once."""

from __future__ import annotations

from rackwright.roles.replica.settings import ReplicaName
from rackwright.values import Frozen, HostPath, Line, Port, ServedName


class Settings(Frozen):
    replica: ReplicaName
    unit: Line
    socket: HostPath
    served_name: ServedName
    counter: Line
    """Metric that moves while the engine works (reference/gateway.md: the rule)."""
    busy: tuple[Line, ...]
    """Metrics whose sum is above zero while requests are in the engine."""
    agent_port: Port
    """Loopback port on which the host proxy asks for the state."""
    every_seconds: int = 2
    deadline_seconds: int = 10
    """While busy the counter must move, while idle a one-token completion must come back, within this time."""

    @property
    def units(self) -> tuple[str, ...]:
        """Every systemd unit of this probe."""
        probe, agent = f"rackwright-probe-{self.replica}", f"rackwright-agent-{self.replica}"
        return (f"{probe}.service", f"{probe}.timer", f"{agent}.socket", f"{agent}@.service")
