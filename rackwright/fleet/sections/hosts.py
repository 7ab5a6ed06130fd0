"""`hosts` and `groups`: the machines, how to reach each, and the settings of `defaults`, groups and hosts."""

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
    """The private key file; if absent, the SSH agent's keys."""
    certificate: ControllerPath | None = None
    jump: Annotated[Annotated[JumpHost, Tag("mapping")] | Annotated[Machine, Tag("text")], TEXT_OR_MAPPING] | None = (
        None
    )
    """A host of the fleet by name, an address, or a mapping."""


class Sudo(Frozen):
    password: SecretReference | None = None
    """If absent, sudo must work without a password."""


ModelsPath = Annotated[HostPath, AfterValidator(_models_path)]


class Store(Frozen):
    path: ModelsPath
    shared: Manage = "no"
    """Whether hosts with the same path share one folder: one host writes the weights, all hosts verify them."""


class HostSettings(Frozen):
    """Settings that `defaults`, a group and a host can each set; the last one of these wins."""

    ssh: Ssh = Ssh.model_construct()
    sudo: Sudo = Sudo.model_construct()
    models_at: Annotated[Annotated[Store, Tag("mapping")] | Annotated[ModelsPath, Tag("text")], TEXT_OR_MAPPING] = (
        "/srv/models"
    )
    baseline: Baseline = Baseline.model_construct()

    @property
    def store(self) -> Store:
        """The folder for models, whichever form it is written in."""
        written = self.models_at
        return written if isinstance(written, Store) else Store.model_construct(path=written)


class Group(HostSettings):
    """A group with settings for its hosts."""

    hosts: Annotated[tuple[Name, ...], Field(min_length=1)]


class Host(HostSettings):
    """One machine with its settings."""

    address: HostAddress
    """An IPv4 or IPv6 address or a DNS name for the controller; "@local" is the machine that rackwright runs on."""
    service: AddressField | None = None
    """The address for gateways and clients; `address` if absent."""
    fabric: AddressField | None = None
    """The address for the other members of a replica group and for p2p; `address` if absent."""
    bmc: Machine | None = None
    """The address of its BMC, where a person can power-cycle it; rackwright only shows it."""
    disabled: Reason | None = None
    """The reason why the host is out of service; all commands skip it without an error."""
