"""The fleet file as people write it, checked, and the fleet that follows from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag

from rackwright.fleet.backup import Backup
from rackwright.fleet.baseline import Baseline
from rackwright.fleet.person import Day, FullName, PersonName, PublicKeyLine
from rackwright.fleet.public_key import parse_public_key
from rackwright.fleet.source import Source
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.route import Direct
from rackwright.values import (
    Address,
    AddressField,
    ControllerPath,
    DnsName,
    Frozen,
    HostAddress,
    HostPath,
    Machine,
    Manage,
    Name,
    NetworkField,
    Port,
    Reason,
    Seconds,
    SecretReference,
    ServedName,
    Shape,
    Url,
    UserName,
    parse_address,
)


def _which(value: object) -> str:
    """Tell the branches of a union by form alone, so that an error speaks of the one that was meant."""
    return "mapping" if isinstance(value, dict | BaseModel) else "list" if isinstance(value, list | tuple) else "text"


Hosts = Annotated[
    Annotated[Name, Tag("text")] | Annotated[tuple[Name, ...], Field(min_length=1), Tag("list")],
    Discriminator(lambda value: "list" if _which(value) == "list" else "text"),
]
"""A group, a host, or a list of them."""
Suite = Annotated[
    str, Shape(r"(?!.*\.\.)[A-Za-z0-9.][A-Za-z0-9._/-]{0,63}", "should be a suite like trixie or trixie-security")
]
"""One that ends in a slash is a folder that has no components."""
Component = Annotated[
    str, Shape("[a-z0-9][a-z0-9._/-]{0,63}", "should be a component like main or non-free-firmware")
]
ProxyUrl = Annotated[
    str,
    Shape(
        r"https?://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(:[0-9]{1,5})?/?",
        "should be like http://proxy.acme.internal:3128; one that asks for a password can't be used, for every user "
        "of a host could read it there: let the proxy admit the hosts by their addresses",
    ),
]


def _timezone(text: str) -> str:
    import zoneinfo

    should = "should be a time zone like Europe/Berlin or UTC"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", text):
        raise ValueError(should)
    try:
        known = text == "UTC" or bool(zoneinfo.ZoneInfo(text))
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        known = not any(Path(folder).is_dir() for folder in zoneinfo.TZPATH)
    if not known:
        from difflib import get_close_matches

        near = get_close_matches(text, zoneinfo.available_timezones(), 1)
        raise ValueError(f"unknown time zone; did you mean '{near[0]}'?" if near else should)
    return text


def _models_path(text: str) -> str:
    parts = PurePosixPath(text).parts
    hidden = ("etc", "usr", "bin", "sbin", "lib", "lib64", "boot", "dev", "proc", "sys", "run", "tmp", "root", "home")
    if len(parts) < 2 or parts[1] in hidden or parts[1:] == ("var",):
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
    jump: (
        Annotated[
            Annotated[JumpHost, Tag("mapping")] | Annotated[Machine, Tag("text")],
            Discriminator(lambda value: "mapping" if _which(value) == "mapping" else "text"),
        ]
        | None
    ) = None
    """A host of the fleet by name, an address, or a mapping."""


class Sudo(Frozen):
    password: SecretReference | None = None
    """When absent, sudo must not ask for one."""


class HostSettings(Frozen):
    """What `defaults`, a group and a host can each set; the later wins."""

    ssh: Ssh = Ssh.model_construct()
    sudo: Sudo = Sudo.model_construct()
    models_at: Annotated[HostPath, AfterValidator(_models_path)] = "/srv/models"
    baseline: Baseline = Baseline.model_construct()


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
    out: Reason | None = None
    """Why the host is out of service: it is skipped everywhere, without an error."""


class Placement(Frozen):
    on: Hosts
    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    """On each of these hosts."""
    gpus: Annotated[int, Field(ge=0, le=64)] = 1
    """For each replica; 0 serves on the CPU."""


class Model(Frozen):
    source: Source
    runtime: LlamaCpp
    place: Annotated[tuple[Placement, ...], Field(min_length=1)]
    names: Annotated[tuple[ServedName, ...], Field(min_length=1)]
    """What clients may ask for."""
    context: Annotated[int, Field(ge=128, le=16_777_216)]
    """Tokens that one request may use, prompt and answer together."""


class OwnCertificate(Frozen):
    """A certificate of the operator's instead of one of the fleet's authority."""

    certificate: ControllerPath
    """PEM file with the chain, beside the fleet file."""
    key: SecretReference


class Gateway(Frozen):
    on: Annotated[tuple[Name, ...], Field(min_length=1)]
    domain: DnsName
    vip: AddressField | None = None
    """One address for all gateways, in their service network: whichever of them answers has it."""
    certificate: OwnCertificate | None = None
    queue: Annotated[Seconds, Field(ge=1, le=3600)] = 60
    """How long a request may wait for a free slot."""
    longest_answer: Annotated[Seconds, Field(ge=1, le=86400)] = 3600


class Allow(Frozen):
    on: Hosts
    from_: Annotated[
        Annotated[NetworkField, Tag("text")] | Annotated[tuple[NetworkField, ...], Field(min_length=1), Tag("list")],
        Discriminator(lambda value: "list" if _which(value) == "list" else "text"),
        Field(alias="from"),
    ]
    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"
    at: Literal["address", "service", "fabric"] | None = None
    """Which of the host's networks; all when absent."""
    why: Reason


class Firewall(Frozen):
    admin_from: Annotated[tuple[NetworkField, ...], Field(min_length=1)]
    """Networks that may reach sshd."""
    clients_from: Annotated[tuple[NetworkField, ...], Field(min_length=1)]
    """Networks that may reach the gateways' port 443."""
    admin_at: Literal["address", "any"] = "address"
    """Where sshd is reached on a host with a service or fabric network apart."""
    allow: tuple[Allow, ...] = ()
    existing: Literal["replace", "keep"] | None = None
    """What to do with an active ufw, firewalld, Docker, Kubernetes or packet forwarding; absent refuses to go on."""


class Rollout(Frozen):
    max_unavailable: Annotated[int, Field(ge=1, le=64)] = 1
    """Of one model's replicas; what is down already counts."""
    drain: Annotated[Seconds, Field(le=86400)] = 600
    """Longest wait for requests in flight; then the rollout pauses, it never kills."""
    soak: Annotated[Seconds, Field(le=86400)] = 120


class AptMirror(Frozen):
    url: Url
    suites: Annotated[tuple[Suite, ...], Field(min_length=1)]
    components: tuple[Component, ...] = ("main",)
    """Of suites that don't end in a slash."""
    key: ControllerPath | None = None
    """Keyring file of who may sign it; when absent, the keys that the host's apt trusts already."""
    on: Hosts | None = None
    """Which hosts use it; all when absent."""


class Site(Frozen):
    """Where bytes come from in this network."""

    hub: Url = "https://huggingface.co"
    hub_token: SecretReference | None = None
    proxy: ProxyUrl | None = None
    """Of all downloads, those of the controller too."""
    no_proxy: tuple[Direct, ...] = ()
    """What is reached without the proxy; the fleet's own addresses are always among it."""
    ca_bundle: ControllerPath | None = None
    """PEM file with the authorities that servers of downloads are verified with, in place of the system's."""
    apt_mirror: (
        Annotated[
            Annotated[AptMirror, Tag("mapping")] | Annotated[tuple[AptMirror, ...], Field(min_length=1), Tag("list")],
            Discriminator(lambda value: "list" if _which(value) == "list" else "mapping"),
        ]
        | None
    ) = None
    apt_existing: Literal["replace", "keep"] | None = None
    """What happens to other apt sources of the hosts; asked for with `apt_mirror`."""
    package_index: Url | None = None
    """Of Python packages."""

    @property
    def apt_mirrors(self) -> tuple[AptMirror, ...]:
        if self.apt_mirror is None:
            return ()
        return (self.apt_mirror,) if isinstance(self.apt_mirror, AptMirror) else self.apt_mirror


class Authority(Frozen):
    """The fleet's certificate authority. Its private key never goes to a host."""

    key: SecretReference | None = None
    """PEM; ~/.config/rackwright/<fleet>/ca.key, made by the first apply, when absent."""


class Person(Frozen):
    """One person, with a user of this name on the hosts."""

    role: Literal["operator", "auditor"]
    """An operator may do everything (sudo without a password), an auditor reads logs and the journal."""
    keys: Annotated[tuple[PublicKeyLine, ...], Field(min_length=1)]
    """SSH public keys; the user's authorized_keys has these and no others."""
    on: Hosts | None = None
    """A group, a host or a list of them; every host when absent."""
    until: Day | None = None
    """The last day (UTC) on which the person gets in."""
    full_name: FullName | None = None
    existing: Literal["adopt"] | None = None
    """What to do with a user of this name that is there already; absent refuses to go on."""
    manage: Manage = "yes"
    """`no` leaves the user on the hosts as it is."""

    def ended(self, today: date) -> bool:
        """Given the day in UTC, return whether the person's time is over."""
        return self.until is not None and self.until < today


class FleetFile(Frozen):
    """One site."""

    fleet: Name
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    site: Site = Site.model_construct()
    authority: Authority = Authority.model_construct()
    hosts: Annotated[Mapping[Name, Host], Field(min_length=1)]
    groups: Mapping[Name, tuple[Name, ...]] = {}
    models: Annotated[Mapping[Name, Model], Field(min_length=1)]
    gateway: Gateway
    firewall: Firewall
    rollout: Rollout = Rollout.model_construct()
    backup: Backup | None = None
    """What every host saves of itself, where to and when."""
    people: Mapping[PersonName, Person] = {}
    """Who may log in to the hosts."""
    control: tuple[Name, ...] = ()
    """Hosts that keep lease, journal and the applied fleet; the first gateway when absent."""

    def named(self, on: str | tuple[str, ...]) -> tuple[str, ...]:
        """Given a group, a host or a list of them, return the hosts."""
        names = (on,) if isinstance(on, str) else on
        return tuple(dict.fromkeys(host for name in names for host in self.groups.get(name, (name,))))


@dataclass(frozen=True)
class Apart:
    """A host's addresses in networks of their own; None: it has none there apart from the others."""

    service: Address | None = None
    fabric: Address | None = None


@dataclass(frozen=True)
class Replica:
    """One engine of a model: the unit of drain, health, unit, port and version."""

    model: str
    number: int
    """Counted per host, from 1."""
    host: str
    gpus: int

    @property
    def name(self) -> str:
        """Its name on its host."""
        return f"{self.model}@{self.number}"

    @property
    def address(self) -> str:
        """Its name in the fleet, as commands take it: HOST/MODEL@N."""
        return f"{self.host}/{self.name}"


@dataclass(frozen=True)
class Fleet:
    """A checked fleet file, from where it was read, and the replicas that follow from it."""

    path: Path
    file: FleetFile
    replicas: tuple[Replica, ...]
    """In the order of models, placements, hosts. Those on hosts that are `out` are not among them."""
    sources: tuple[Path, ...]
    """The fleet file and what it extends."""
    origins: Mapping[str, Mapping[str, str]]
    """Host → setting (like ssh.user) → where it was set: defaults, group NAME or host NAME, then FILE:LINE."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the hosts in service."""
        return tuple(name for name, host in self.file.hosts.items() if host.out is None)

    @property
    def control(self) -> tuple[str, ...]:
        return self.named(self.file.control) or self.gateways[:1]

    @property
    def gateways(self) -> tuple[str, ...]:
        return tuple(name for name in self.named(self.file.gateway.on) if name in self.hosts)

    def beside(self, suffix: str) -> Path:
        """Return NAME.<suffix> beside NAME.yml."""
        return self.path.with_name(f"{self.path.stem}.{suffix}")

    def is_local(self, host: str) -> bool:
        """Whether it is the machine that the tool runs on, reached without SSH."""
        return self.file.hosts[host].address == "@local"

    def service(self, host: str) -> Address:
        """Where gateways and clients reach the host: loopback where it is this machine and nothing else is said."""
        settings = self.file.hosts[host]
        return settings.service or parse_address("127.0.0.1" if self.is_local(host) else settings.address)

    def apart(self, host: str) -> Apart:
        """Return the host's addresses in networks of their own: those that differ from `address`."""
        settings = self.file.hosts[host]
        service = None if self.is_local(host) or str(settings.service) == settings.address else settings.service
        fabric = None if str(settings.fabric) in (settings.address, str(service)) else settings.fabric
        return Apart(service, fabric)

    def named(self, on: str | tuple[str, ...]) -> tuple[str, ...]:
        """Given a group, a host or a list of them, return the hosts."""
        return self.file.named(on)

    def person_of(self, fingerprint: str) -> str | None:
        """Given an SSH key's fingerprint (SHA256:…), return whose it is; None: nobody's of the fleet file."""
        for name, person in self.file.people.items():
            if any(parse_public_key(key).fingerprint == fingerprint for key in person.keys):
                return name
        return None

    def admits(self, person: Person, host: str) -> bool:
        """Whether the person is one of this host, today or not."""
        return person.on is None or host in self.named(person.on)

    def replicas_on(self, host: str) -> tuple[Replica, ...]:
        return tuple(replica for replica in self.replicas if replica.host == host)

    def replicas_of(self, model: str) -> tuple[Replica, ...]:
        return tuple(replica for replica in self.replicas if replica.model == model)
