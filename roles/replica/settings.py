"""One engine process: its command, its user, its socket."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from rackwright.launch import Launch, Reach
from rackwright.roles.layout.settings import SOCKETS
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField
from rackwright.values.paths import HostPath
from rackwright.values.text import Line, Name

ReplicaName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,23}@[1-9][0-9]{0,2}$")]
"""<model>@<n>, counted per host."""

STARTED = "/run/rackwright-started"
"""Folder of what root records about running engines, by replica."""


class Settings(Frozen):
    name: ReplicaName
    model: Name
    user: Line
    """rw-<model>."""
    command: tuple[str, ...]
    environment: dict[str, str] = {}
    readable: tuple[HostPath, ...]
    """What the engine may read in addition to the system: its runtime's folder and its model's folder."""
    mount: HostPath
    """`models_at`; the unit waits until it is mounted."""
    stop_seconds: int
    """Longest drain, in seconds; TimeoutStopSec is longer."""
    after: Line | None = None
    """Unit that the engine requires: with GPUs and rackwright's driver, the one that waits for the GPUs."""
    gpus: int = 0
    """Number of GPUs that the replica uses; with 0, it has access to no device."""
    reach: Reach = Reach.NOTHING
    fabric: AddressField | None = None
    """The host's address in the fabric network, for an engine that connects to other members."""
    members: tuple[AddressField, ...] = ()
    """Addresses of all members in that network."""
    compiles: bool = False
    """Whether the engine compiles machine code while it runs, and keeps it in its own cache."""
    log_lines: tuple[str, ...] = ()
    """Expressions of the lines that the engine may log. Any other line may quote a prompt and is dropped."""

    def launched(self, launch: Launch) -> Settings:
        """Return these settings with the process that a runtime starts."""
        home = {"HOME": self.cache} if launch.compiles else {}
        update = {
            "command": launch.command,
            "environment": {**launch.environment, **home},
            "readable": (*launch.readable, *self.readable),
            "reach": launch.reach,
            "fabric": launch.member.own if launch.member else None,
            "members": launch.member.addresses if launch.member else (),
            "compiles": launch.compiles,
            "log_lines": launch.log_lines,
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
        """Below /run, group rackwright. systemd creates it at each start, so no stale socket blocks a restart."""
        return f"rackwright/{self.name}"

    @property
    def cache(self) -> str:
        """Where an engine keeps compiled code, so that its next start is faster."""
        return f"/var/cache/{self.runtime_directory}"

    @property
    def socket(self) -> str:
        return f"{SOCKETS}/{self.name}/engine.sock"

    @property
    def started(self) -> str:
        """Folder with what root records at each start; only root can write to it, and it ends with the engine."""
        return f"{STARTED}/{self.name}"

    @property
    def started_digest(self) -> str:
        """File with the sha256 of the unit file with which the running engine was started."""
        return f"{self.started}/unit.sha256"

    @property
    def ended(self) -> str:
        """The probe's script that notes whose request ended the engine."""
        return f"/etc/rackwright/{self.name}.ended"

    @property
    def interface_file(self) -> str:
        """File with the name of the interface that has the `fabric` address; written at each start."""
        return f"{self.started}/interface.env"

    @property
    def gpus_file(self) -> str:
        """The unit's drop-in that names the replica's GPUs; a replica that needs GPUs isn't started without it."""
        return f"{self.unit_file}.d/gpus.conf"

    @property
    def started_gpus(self) -> str:
        """Copy of the drop-in with which the running engine was started."""
        return f"{self.started}/gpus.conf"
