"""The fleet as derived from a checked fleet file: hosts in service, their networks, replicas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rackwright.fleet.fleet_file import FleetFile
from rackwright.fleet.public_key import parse_public_key
from rackwright.fleet.sections.driver import Driver
from rackwright.fleet.sections.people import Person
from rackwright.values.file import LOCAL, File
from rackwright.values.network import Address, parse_address


@dataclass(frozen=True)
class Apart:
    """A host's separate service and fabric addresses; None if it has no separate address in that network."""

    service: Address | None = None
    fabric: Address | None = None


@dataclass(frozen=True)
class Replica:
    """One engine of a model: the unit of drain, health, unit, port and version."""

    model: str
    number: int
    """Counted per host, from 1."""
    host: str
    """The host where it answers: the first of its hosts."""
    gpus: int
    """The number of GPUs on each of its hosts."""
    members: tuple[str, ...] = ()
    """All its hosts, if it spans several; else empty."""

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.members or (self.host,)

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
    """A checked fleet file, its path, and the replicas derived from it."""

    path: Path
    file: FleetFile
    replicas: tuple[Replica, ...]
    """In the order of models, placements, hosts; without replicas on `disabled` hosts."""
    sources: tuple[Path, ...]
    """The fleet file and the files that it extends."""
    origins: Mapping[str, Mapping[str, str]]
    """Host → setting (like ssh.user) → where it is set: defaults, group NAME or host NAME, then FILE:LINE."""
    recorded: tuple[str, ...] = ()
    """The control hosts that the lock records, whether or not they are in service; empty: it records none."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts in service."""
        return tuple(name for name, host in self.file.hosts.items() if host.disabled is None)

    @property
    def control(self) -> tuple[str, ...]:
        """The control hosts in service. One keeps lease and journal in files; several keep them together."""
        return self._in_service(self.control_hosts)

    @property
    def control_hosts(self) -> tuple[str, ...]:
        """All control hosts, also those out of service: those in the lock, else the first that the fleet file names.

        If the lock's are all out of service, it is the fleet file's, too: then only `lease move` helps.
        """
        return self.recorded if self._in_service(self.recorded) else self.named_control[:1]

    @property
    def named_control(self) -> tuple[str, ...]:
        """The hosts in service that the fleet file names as control hosts. Only `lease move` makes them that."""
        return self._in_service(self.named(self.file.control)) or self.gateways[:1]

    @property
    def etcd_hosts(self) -> tuple[str, ...]:
        """The hosts that have etcd, also those out of service: several control hosts, in the lock or the fleet file.

        Those that the fleet file no longer names stay until `lease move`.
        """
        several = (hosts for hosts in (self.recorded, self.named(self.file.control)) if len(hosts) > 1)
        return tuple(dict.fromkeys(host for hosts in several for host in hosts if host in self.file.hosts))

    @property
    def tool_hosts(self) -> tuple[str, ...]:
        """The control hosts in service that have the tool."""
        return self._in_service(self.file.named(self.file.unattended.hosts))

    @property
    def gateways(self) -> tuple[str, ...]:
        return self._in_service(self.named(self.file.gateway.on))

    def _in_service(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name in self.hosts)

    def gateways_beside(self, host: str) -> tuple[str, ...]:
        """Return all gateways except this host."""
        return tuple(name for name in self.gateways if name != host)

    def sibling(self, suffix: str) -> Path:
        """Return the path of NAME.<suffix>, next to NAME.yml."""
        return self.path.with_name(f"{self.path.stem}.{suffix}")

    def at(self, written: str) -> Path:
        """Given a controller path as written in the fleet file, return its real path."""
        return self.path.parent / Path(written).expanduser()

    def located(self, files: Iterable[File]) -> tuple[File, ...]:
        """Return files of the lock; those on the controller have absolute paths."""
        return tuple(
            file.model_copy(update={"url": f"{LOCAL}{self.at(str(file.local)).absolute()}"}) if file.local else file
            for file in files
        )

    def is_local(self, host: str) -> bool:
        """Return whether the host is the machine that rackwright runs on, reached without SSH."""
        return self.file.hosts[host].address == "@local"

    def service(self, host: str) -> Address:
        """Return the address for gateways and clients; for @local without `service`, it is loopback."""
        settings = self.file.hosts[host]
        return settings.service or parse_address("127.0.0.1" if self.is_local(host) else settings.address)

    def apart(self, host: str) -> Apart:
        """Return the host's separate addresses: those that differ from `address`."""
        settings = self.file.hosts[host]
        service = None if self.is_local(host) or str(settings.service) == settings.address else settings.service
        fabric = None if str(settings.fabric) in (settings.address, str(service)) else settings.fabric
        return Apart(service, fabric)

    def named(self, on: str | tuple[str, ...]) -> tuple[str, ...]:
        """Given a group, a host or a list of them, return the hosts."""
        return self.file.named(on)

    def person_of(self, fingerprint: str) -> str | None:
        """Return the person with this SSH key fingerprint (SHA256:…), or None if the fleet file has no such key."""
        for name, person in self.file.people.items():
            if any(parse_public_key(key).fingerprint == fingerprint for key in person.keys):
                return name
        return None

    def admits(self, person: Person, host: str) -> bool:
        """Return whether the person has a user on this host, whether or not their access has ended."""
        return person.on is None or host in self.named(person.on)

    def driver_of(self, host: str, *, had: bool = False) -> Driver | None:
        """Return the `driver` entry for this host; None if there is none, or if its driver is left alone.

        `had` says whether the lock has a driver for it: a host without replicas for some time keeps its driver.
        """
        # An entry that names the host takes precedence; one without `on` is for all other hosts.
        for driver in sorted(self.file.drivers, key=lambda driver: driver.on is None):
            if host in self.named(driver.on) if driver.on is not None else had or self._has_gpus(host):
                return None if driver.manage == "no" else driver
        return None

    def _has_gpus(self, host: str) -> bool:
        return any(replica.gpus for replica in self.parts_on(host))

    def replicas_on(self, host: str) -> tuple[Replica, ...]:
        """Return the replicas that answer on this host."""
        return tuple(replica for replica in self.parts_on(host) if replica.host == host)

    def parts_on(self, host: str) -> tuple[Replica, ...]:
        """Return the replicas that have an engine on this host, including those that answer on another host."""
        return self._parts.get(host, ())

    @cached_property
    def _parts(self) -> Mapping[str, tuple[Replica, ...]]:
        """Host → its replicas. A search through all replicas for each host would be quadratic in the fleet's size."""
        found: dict[str, tuple[Replica, ...]] = {}
        for replica in self.replicas:
            for host in replica.hosts:
                found[host] = (*found.get(host, ()), replica)
        return found

    def fabric(self, host: str) -> Address:
        """Return the address where the other members of a replica reach the host."""
        settings = self.file.hosts[host]
        # The rules ensure that the `address` of a member without `fabric` is an IP address.
        return settings.fabric or parse_address(settings.address)

    def replicas_of(self, model: str) -> tuple[Replica, ...]:
        return tuple(replica for replica in self.replicas if replica.model == model)

    @property
    def served_models(self) -> tuple[str, ...]:
        """The models that have replicas: those that no client reaches without a gateway."""
        return tuple(model for model in self.file.models if self.replicas_of(model))
