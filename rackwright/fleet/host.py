"""What one host should be: the settings of every role on it, from the fleet file, the lock and the keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from ipaddress import ip_network

from rackwright.fleet.backup import backup_of
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.lock import Lock, RuntimeLock
from rackwright.fleet.sections.baseline import Baseline
from rackwright.fleet.sections.firewall import Allow
from rackwright.fleet.sections.models import Model
from rackwright.fleet.sections.people import Person
from rackwright.fleet.site_files import SiteFiles, route_from_hosts
from rackwright.roles.backup.settings import Access
from rackwright.roles.backup.settings import Settings as Backup
from rackwright.roles.certificate.settings import Settings as Certificate
from rackwright.roles.certificate.settings import files as certificate_files
from rackwright.roles.firewall.settings import UNIT as FIREWALL_UNIT
from rackwright.roles.firewall.settings import Opening
from rackwright.roles.firewall.settings import Settings as Firewall
from rackwright.roles.gateway.settings import FOLDER as GATEWAY
from rackwright.roles.gateway.settings import PEERS_PORT, Key, Peer, RoutedModel, Server
from rackwright.roles.gateway.settings import Settings as Gateway
from rackwright.roles.host_proxy.settings import FOLDER as HOST_PROXY
from rackwright.roles.host_proxy.settings import Proxied
from rackwright.roles.host_proxy.settings import Settings as HostProxy
from rackwright.roles.layout.settings import Settings as Layout
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.roles.model_store.settings import StoredModel
from rackwright.roles.people.settings import Person as LetIn
from rackwright.roles.people.settings import Settings as People
from rackwright.roles.probe.settings import Settings as Probe
from rackwright.roles.replica.settings import Settings as ReplicaUnit
from rackwright.roles.site.settings import AptMirror
from rackwright.roles.site.settings import Settings as Site
from rackwright.roles.vip.settings import FOLDER as VIP
from rackwright.roles.vip.settings import UNIT as VIP_UNIT
from rackwright.roles.vip.settings import Settings as Vip
from rackwright.values import Address, Issued, Issuer, Network, Secret

AGENT_PORT_OFFSET = 10_000
"""A replica's agent listens on loopback at its port plus this."""


@dataclass(frozen=True)
class InstalledRuntime:
    settings: LlamaCpp
    lock: RuntimeLock


@dataclass(frozen=True)
class Credentials:
    """What roles hand out without knowing where it came from."""

    issuer: Issuer | None = None
    """The fleet's authority; None where nothing may be issued."""
    own_certificate: Issued | None = None
    """The operator's certificate for clients; None: the authority issues it."""
    hub_token: Secret | None = None
    backup: Mapping[str, Access] = field(default_factory=dict)
    """What opens the repositories, by name."""
    site_files: SiteFiles = field(default_factory=SiteFiles)


@dataclass(frozen=True)
class HostModel:
    """One host's model, as deploys read it. None or empty: the role has nothing to do there."""

    name: str
    layout: Layout
    firewall: Firewall
    baseline: Baseline
    certificates: tuple[Certificate, ...]
    model_store: ModelStore | None
    runtimes: tuple[InstalledRuntime, ...]
    replicas: tuple[ReplicaUnit, ...]
    probes: tuple[Probe, ...]
    host_proxy: HostProxy | None
    gateway: Gateway | None
    vip: Vip | None = None
    backup: Backup | None = None
    credentials: Credentials = Credentials()
    people: People = field(default_factory=People)
    site: Site = field(default_factory=Site)
    never_shut_out: tuple[Network, ...] = ()
    """By fail2ban, whatever they do."""


@dataclass(frozen=True)
class _Composer:
    """Holds what every part of a host's model is made from."""

    fleet: Fleet
    lock: Lock
    keys: tuple[Key, ...]
    credentials: Credentials
    today: date = field(default_factory=lambda: datetime.now(UTC).date())

    def host(self, name: str) -> HostModel:
        replicas = self.fleet.replicas_on(name)
        units = tuple(self._unit(replica) for replica in replicas)
        probes = tuple(self._probe(replica, unit) for replica, unit in zip(replicas, units, strict=True))
        host_proxy = self._host_proxy(name, replicas) if replicas else None
        gateway = self._gateway(name) if name in self.fleet.gateways else None
        vip = self._vip(name)
        backup = backup_of(self.fleet, self.lock, name, route_from_hosts(self.fleet))
        return HostModel(
            name=name,
            layout=self._layout(name, units, probes, host_proxy, gateway, vip, backup),
            firewall=self._firewall(name, replicas),
            baseline=self.fleet.file.hosts[name].baseline.decided(),
            people=self._people(name),
            never_shut_out=self._never_shut_out(name),
            certificates=self._certificates(name, serves=bool(replicas)),
            model_store=self._model_store(name, replicas) if replicas else None,
            runtimes=self._runtimes(replicas),
            replicas=units,
            probes=probes,
            host_proxy=host_proxy,
            gateway=gateway,
            vip=vip,
            backup=backup,
            credentials=self.credentials,
            site=self._site(name),
        )

    def _site(self, name: str) -> Site:
        site, files = self.fleet.file.site, self.credentials.site_files
        mirrors = [mirror for mirror in site.apt_mirrors if mirror.on is None or name in self.fleet.named(mirror.on)]
        return Site(
            route=route_from_hosts(self.fleet),
            ca_bundle=files.ca_bundle,
            mirrors=tuple(
                AptMirror(
                    url=mirror.url,
                    suites=mirror.suites,
                    components=mirror.components,
                    keyring=files.keyring(mirror),
                )
                for mirror in mirrors
            ),
            replace=bool(mirrors) and site.apt_existing == "replace",
            package_index=site.package_index,
        )

    def _model(self, replica: Replica) -> Model:
        return self.fleet.file.models[replica.model]

    def _layout(
        self,
        name: str,
        units: tuple[ReplicaUnit, ...],
        probes: tuple[Probe, ...],
        host_proxy: HostProxy | None,
        gateway: Gateway | None,
        vip: Vip | None,
        backup: Backup | None,
    ) -> Layout:
        keep = [FIREWALL_UNIT, *(unit.unit for unit in units)]
        keep += [unit for probe in probes for unit in probe.units]
        keep += host_proxy.units if host_proxy else ()
        keep += gateway.units if gateway else ()
        keep += [VIP_UNIT] if vip else []
        keep += backup.units if backup else ()
        return Layout(
            fleet=self.fleet.file.fleet,
            host=name,
            serves=bool(units),
            keep_units=tuple(sorted(keep)),
            keep_files=tuple(
                sorted([*_files(probes, host_proxy, gateway, vip), *(backup.files if backup else ())]),
            ),
            keep_users=tuple(sorted({unit.user for unit in units})),
        )

    def _firewall(self, name: str, replicas: tuple[Replica, ...]) -> Firewall:
        file = self.fleet.file
        ssh_port = file.hosts[name].ssh.port
        admin_at = None if file.firewall.admin_at == "any" else file.firewall.admin_at
        openings = [Opening(port=ssh_port, sources=file.firewall.admin_from, at=admin_at, why="ssh from admins")]
        if name in self.fleet.gateways:
            others = tuple(host for host in self.fleet.hosts if host not in self.fleet.gateways)
            openings += [
                Opening(port=443, sources=file.firewall.clients_from, at="service", why="clients"),
                Opening(port=443, sources=self._networks(others), at="service", why="verify from hosts of the fleet"),
                Opening(
                    port=PEERS_PORT,
                    sources=self._networks(self._other_gateways(name)),
                    at="service",
                    why="gateways to each other",
                ),
            ]
        for replica in replicas:
            openings.append(
                Opening(
                    port=self._port(replica),
                    sources=self._networks(self.fleet.gateways),
                    at="service",
                    why=f"gateways to {replica.name}",
                )
            )
        openings += [_allowed(rule) for rule in file.firewall.allow if name in self.fleet.named(rule.on)]
        apart = self.fleet.apart(name)
        return Firewall(
            openings=tuple(opening for opening in openings if opening.sources),
            service=apart.service,
            fabric=apart.fabric,
            vip=self.fleet.file.gateway.vip if name in self.fleet.gateways else None,
            vrrp_from=self._vip_peers(name) if self._vip(name) else (),
            ssh_port=ssh_port,
            existing=file.firewall.existing,
        )

    def _people(self, host: str) -> People:
        file = self.fleet.file
        here = {name: person for name, person in file.people.items() if self.fleet.admits(person, host)}
        managed = {name: person for name, person in here.items() if person.manage == "yes"}
        return People(
            people=tuple(_let_in(name, one) for name, one in managed.items() if not one.ended(self.today)),
            left_alone=tuple(name for name in here if name not in managed),
            login=None if self.fleet.is_local(host) else file.hosts[host].ssh.user,
        )

    def _networks(self, hosts: tuple[str, ...]) -> tuple[Network, ...]:
        return tuple(ip_network(self.fleet.service(host)) for host in hosts)

    def _never_shut_out(self, name: str) -> tuple[Network, ...]:
        """The fleet's hosts, by every address that the fleet file knows, and whom it names."""
        file = self.fleet.file
        reached = [_network(file.hosts[host].address) for host in self.fleet.hosts]
        hosts = {*self._networks(self.fleet.hosts), *(network for network in reached if network)}
        named = file.hosts[name].baseline.fail2ban.never
        return (*(file.firewall.admin_from if named is None else named), *sorted(hosts, key=str))

    def _certificates(self, name: str, *, serves: bool) -> tuple[Certificate, ...]:
        certificates = []
        address = str(self.fleet.service(name))
        if serves:
            certificates.append(Certificate(name="host-proxy", names=(name, address)))
        if name in self.fleet.gateways:
            certificates.append(Certificate(name="gateway-client", names=(name,), client=True))
            if self.fleet.file.gateway.certificate is None:
                domain = self.fleet.file.gateway.domain
                vip = self.fleet.file.gateway.vip
                addresses = (address, str(vip)) if vip else (address,)
                certificates.append(Certificate(name="gateway", names=(domain, *addresses)))
        return tuple(certificates)

    def _model_store(self, name: str, replicas: tuple[Replica, ...]) -> ModelStore:
        return ModelStore(
            root=self.fleet.file.hosts[name].models_at,
            models=tuple(
                StoredModel(name=model, digest=self.lock.models[model].digest, files=self.lock.models[model].files)
                for model in dict.fromkeys(replica.model for replica in replicas)
            ),
            hub=self.fleet.file.site.hub,
        )

    def _runtimes(self, replicas: tuple[Replica, ...]) -> tuple[InstalledRuntime, ...]:
        settings = {self._runtime_key(replica): self._model(replica).runtime for replica in replicas}
        return tuple(InstalledRuntime(settings[key], self.lock.runtimes[key]) for key in settings)

    def _runtime_key(self, replica: Replica) -> str:
        runtime = self._model(replica).runtime
        return f"{runtime.kind}-{runtime.version}"

    def _unit(self, replica: Replica) -> ReplicaUnit:
        model = self._model(replica)
        root = self.fleet.file.hosts[replica.host].models_at
        locked = self.lock.models[replica.model]
        folder = f"{root}/{replica.model}/{locked.digest[:16]}"
        unit = ReplicaUnit(
            name=replica.name,
            model=replica.model,
            user=f"rw-{replica.model}",
            command=(),
            readable=(model.runtime.folder, folder),
            mount=root,
            stop_seconds=self.fleet.file.rollout.drain,
            gpus=replica.gpus,
        )
        command = model.runtime.command(
            model=f"{folder}/{locked.weights}",
            socket=unit.socket,
            names=model.names,
            context=model.context,
            gpus=replica.gpus,
        )
        return unit.model_copy(update={"command": command})

    def _probe(self, replica: Replica, unit: ReplicaUnit) -> Probe:
        model = self._model(replica)
        return Probe(
            replica=replica.name,
            unit=unit.unit,
            socket=unit.socket,
            served_name=model.names[0],
            counter=model.runtime.counter,
            busy=model.runtime.busy,
            agent_port=self._port(replica) + AGENT_PORT_OFFSET,
        )

    def _port(self, replica: Replica) -> int:
        return self.lock.ports[replica.host][replica.name]

    def _host_proxy(self, name: str, replicas: tuple[Replica, ...]) -> HostProxy:
        return HostProxy(
            address=self.fleet.service(name),
            certificate="host-proxy",
            gateways=self.fleet.gateways,
            replicas=tuple(
                Proxied(
                    replica=replica.name,
                    port=self._port(replica),
                    socket=self._unit(replica).socket,
                    agent_port=self._port(replica) + AGENT_PORT_OFFSET,
                    slots=self._model(replica).runtime.slots,
                )
                for replica in replicas
            ),
            longest_answer_seconds=self.fleet.file.gateway.longest_answer,
        )

    def _gateway(self, name: str) -> Gateway:
        settings = self.fleet.file.gateway
        return Gateway(
            name=name,
            domain=settings.domain,
            address=self.fleet.service(name),
            vip=settings.vip,
            certificate="gateway",
            client_certificate="gateway-client",
            models=tuple(self._routed(model) for model in self.fleet.file.models),
            keys=self.keys,
            peers=tuple(Peer(name=other, address=self.fleet.service(other)) for other in self._other_gateways(name)),
            longest_answer_seconds=settings.longest_answer,
            queue_seconds=settings.queue,
        )

    def _other_gateways(self, name: str) -> tuple[str, ...]:
        return tuple(gateway for gateway in self.fleet.gateways if gateway != name)

    def _vip(self, name: str) -> Vip | None:
        address = self.fleet.file.gateway.vip
        if address is None or name not in self.fleet.gateways:
            return None
        return Vip(
            host=name,
            address=address,
            own=self.fleet.service(name),
            peers=self._vip_peers(name),
            priority=200 - self.fleet.gateways.index(name),
        )

    def _vip_peers(self, name: str) -> tuple[Address, ...]:
        return tuple(self.fleet.service(other) for other in self._other_gateways(name))

    def _routed(self, model: str) -> RoutedModel:
        return RoutedModel(
            name=model,
            digest=self.lock.models[model].digest,
            names=self.fleet.file.models[model].names,
            servers=tuple(
                Server(
                    replica=replica.name,
                    host=replica.host,
                    address=self.fleet.service(replica.host),
                    port=self._port(replica),
                    slots=self._model(replica).runtime.slots,
                )
                for replica in self.fleet.replicas_of(model)
            ),
        )


def _allowed(rule: Allow) -> Opening:
    sources = rule.from_ if isinstance(rule.from_, tuple) else (rule.from_,)
    return Opening(port=rule.port, protocol=rule.protocol, sources=sources, at=rule.at, why=rule.why)


def _let_in(name: str, person: Person) -> LetIn:
    return LetIn(
        name=name,
        role=person.role,
        keys=person.keys,
        full_name=person.full_name,
        until=person.until,
        adopt=person.existing == "adopt",
    )


def _network(address: str) -> Network | None:
    try:
        return ip_network(address)
    except ValueError:
        return None  # a DNS name, or @local


def host_models(
    fleet: Fleet, lock: Lock, keys: tuple[Key, ...] = (), credentials: Credentials = Credentials()
) -> dict[str, HostModel]:
    """Given a fleet and a lock that answers it, return each host in service with its model."""
    composer = _Composer(fleet, lock, keys, credentials)
    return {name: composer.host(name) for name in fleet.hosts}


def _files(
    probes: tuple[Probe, ...], host_proxy: HostProxy | None, gateway: Gateway | None, vip: Vip | None
) -> Iterator[str]:
    for probe in probes:
        yield from probe.scripts.values()
    if host_proxy:
        yield from (HOST_PROXY, *certificate_files(host_proxy.certificate))
    if gateway:
        yield GATEWAY
        for name in (gateway.certificate, gateway.client_certificate):
            yield from certificate_files(name)
    if vip:
        yield VIP
