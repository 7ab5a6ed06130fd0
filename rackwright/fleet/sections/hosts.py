"""`hosts` and `groups`: the machines, how each is reached, and what `defaults`, groups and hosts can set."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, Tag

from rackwright.fleet.sections.baseline import Baseline
from rackwright.fleet.sections.forms import SYSTEM_FOLDERS, TEXT_OR_MAPPING
from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField, HostAddress, Machine
from rackwright.values.paths import ControllerPath, HostPath
from rackwright.values.secrets import SecretReference
from rackwright.values.text import Manage, Name, Reason, UserName


def _models_path(text: str) -> str:
    parts = PurePosixPath(text).parts
    if len(parts) < 2 or parts[1] in SYSTEM_FOLDERS or parts[1:] == ("var",):
        raise ValueError("is a folder of the system, or hidden from services; should be like /srv/models")
    return text


class JumpHost(Frozen):
    address: Machine
    user: UserName | None = None
    port: Port = 22
    key: ControllerPath | None = None


class Ssh(Frozen):
    user: UserName = "root"
    port: Port = 22
    key: ControllerPath | None = None
    """Private key file; the agent's keys when absent."""
    certificate: ControllerPath | None = None
    jump: Annotated[Annotated[JumpHost, Tag("mapping")] | Annotated[Machine, Tag("text")], TEXT_OR_MAPPING] | None = (
        None
    )
    """A host of the fleet by name, an address, or a mapping."""


class Sudo(Frozen):
    password: SecretReference | None = None
    """When absent, sudo must not ask for one."""


ModelsPath = Annotated[HostPath, AfterValidator(_models_path)]


class Store(Frozen):
    path: ModelsPath
    shared: Manage = "no"
    """Whether hosts with the same path see the same folder: one of them writes there, each reads it through."""


class HostSettings(Frozen):
    """What `defaults`, a group and a host can each set; the later wins."""

    ssh: Ssh = Ssh.model_construct()
    sudo: Sudo = Sudo.model_construct()
    models_at: Annotated[Annotated[Store, Tag("mapping")] | Annotated[ModelsPath, Tag("text")], TEXT_OR_MAPPING] = (
        "/srv/models"
    )
    baseline: Baseline = Baseline.model_construct()

    @property
    def store(self) -> Store:
        """Where its models are, whichever way that is written."""
        written = self.models_at
        return written if isinstance(written, Store) else Store.model_construct(path=written)


class Group(HostSettings):
    """A group that gives its hosts settings."""

    hosts: Annotated[tuple[Name, ...], Field(min_length=1)]


class Host(HostSettings):
    """One machine with its settings."""

    address: HostAddress
    """IPv4, IPv6 or a DNS name as the controller reaches it; "@local" is the machine the tool runs on."""
    service: AddressField | None = None
    """Network of clients and gateways; `address` when absent."""
    fabric: AddressField | None = None
    """Network between the members of one replica; `address` when absent."""
    disabled: Reason | None = None
    """Why the host is out of service: it is skipped everywhere, without an error."""
