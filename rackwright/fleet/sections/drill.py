"""`drill`: scratch hosts on which drills restore the fleet, and how long a recovery may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from rackwright.fleet.sections.hosts import Ssh, Sudo
from rackwright.values.amounts import Seconds
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField, NetworkField
from rackwright.values.secrets import SecretReference
from rackwright.values.text import Line, Name, plain
from rackwright.values.times import PATTERN, Recurring, parse_recurring

Scenario = Literal["gateway", "serving-host", "everything", "poisoned", "repository-lost", "wrong-password"]
RecurringField = Annotated[
    Recurring,
    PlainValidator(parse_recurring),
    PlainSerializer(plain, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN}),
]


class ScratchHost(Frozen):
    """A machine that a drill restores to and wipes afterwards."""

    address: AddressField
    ssh: Ssh = Ssh.model_construct()
    sudo: Sudo = Sudo.model_construct()
    stands_for: Annotated[tuple[Name, ...], Field(min_length=1)]
    """The hosts that it can take the place of. A drill restores one of them to it."""


class RecoveryObjectives(Frozen):
    rto: Annotated[Seconds, Field(ge=60)]
    """The longest time from a loss to the first proven answer."""
    rpo: Annotated[Seconds, Field(ge=3600)]
    """The largest age of the data that a recovery starts from."""


class Drill(Frozen):
    """Recovery drills: the fleet is restored to scratch hosts, proven there, and wiped."""

    hosts: Annotated[Mapping[Name, ScratchHost], Field(min_length=1)]
    objectives: RecoveryObjectives
    criticality: Line = "not classified"
    """How much the organization depends on the service, in its own words; for reports."""
    key: SecretReference | None = None
    """An API key of the fleet. A drill proves that the restored gateways admit it."""
    revoked_key: SecretReference | None = None
    """A revoked API key of the fleet. A drill proves that the restored gateways refuse it."""
    at: RecurringField | None = None
    """When the tool makes a drill, in the fleet's time zone, like "first sun 04:00"; never if absent."""
    scenario: Scenario = "everything"
    """What is lost in that drill."""
    reach: tuple[NetworkField, ...] = ()
    """Networks that scratch hosts may reach in addition to the repositories and the download sources."""
