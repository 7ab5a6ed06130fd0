"""One engine process: what it runs, as whom, where its socket stands."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from rackwright.launch import Launch, Reach
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField
from rackwright.values.paths import HostPath
from rackwright.values.text import Line, Name

ReplicaName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,23}@[1-9][0-9]{0,2}$")]
"""<model>@<n>, counted per host."""


class Settings(Frozen):
    name: ReplicaName
    model: Name
    user: Line
    """rw-<model>."""
    command: tuple[str, ...]
    environment: dict[str, str] = {}
    readable: tuple[HostPath, ...]
    """What the engine may read beyond the system: its runtime folder and its model's folder."""
    mount: HostPath
    """`models_at`: the unit waits for its mount."""
    stop_seconds: int
    """Longest drain, in seconds; TimeoutStopSec is above it."""
    after: Line | None = None
    """Unit without which the engine isn't started: with GPUs the one that waits for them, if their driver is ours."""
    gpus: int = 0
    """How many GPUs the replica uses; 0 closes all devices to it."""
    reach: Reach = Reach.NOTHING
    fabric: AddressField | None = None
    """The host's address in the members' network, for an engine that reaches them."""
    members: tuple[AddressField, ...] = ()
    """All of them, in that network."""
    compiles: bool = False
    """Whether it makes machine code while it runs, and keeps what it made in a cache of its own."""

    def launched(self, launch: Launch) -> Settings:
        """Return them with the process that a runtime starts."""
        home = {"HOME": self.cache} if launch.compiles else {}
        update = {
            "command": launch.command,
            "environment": {**launch.environment, **home},
            "readable": (*launch.readable, *self.readable),
            "reach": launch.reach,
            "fabric": launch.member.own if launch.member else None,
            "members": launch.member.addresses if launch.member else (),
            "compiles": launch.compiles,
        }
        return self.model_copy(update=update)

    @property
    def unit(self) -> str:
        return f"rackwright-{self.name}.service"

    @property
    def unit_file(self) -> str:
        return f"/etc/systemd/system/{self.unit}"

    @property
    def runtime_directory(self) -> str:
        """Below /run; made by systemd at each start, group rackwright, so that no stale socket blocks a restart."""
        return f"rackwright/{self.name}"

    @property
    def cache(self) -> str:
        """Where an engine keeps what it compiled, so that the next start is quicker."""
        return f"/var/cache/{self.runtime_directory}"

    @property
    def socket(self) -> str:
        return f"/run/rackwright/{self.name}/engine.sock"

    @property
    def started_digest(self) -> str:
        """Where the sha256 of the unit file stands that the running engine was started on."""
        return f"/run/rackwright/{self.name}/unit.sha256"

    @property
    def interface_file(self) -> str:
        """Where the name of the interface stands that has the `fabric` address; found at each start."""
        return f"/run/rackwright/{self.name}/interface.env"

    @property
    def gpus_file(self) -> str:
        """The drop-in of the unit that names the replica's GPUs; without it one that needs some isn't started."""
        return f"{self.unit_file}.d/gpus.conf"

    @property
    def started_gpus(self) -> str:
        """Where the drop-in stands that the running engine was started with."""
        return f"/run/rackwright/{self.name}/gpus.conf"
