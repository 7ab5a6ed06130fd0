"""The desired state of one host for the deploys: settings for every role, and the credentials that roles deliver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rackwright.fleet.downloads import DownloadFiles
from rackwright.fleet.lock import RuntimeLock
from rackwright.fleet.sections.baseline import Baseline
from rackwright.fleet.sections.models import Runtime
from rackwright.roles.backup.settings import Access
from rackwright.roles.backup.settings import Settings as Backup
from rackwright.roles.boot.settings import Settings as Boot
from rackwright.roles.certificate.settings import Settings as Certificate
from rackwright.roles.cloud.settings import Access as CloudAccess
from rackwright.roles.cloud.settings import Settings as Cloud
from rackwright.roles.cuda.settings import Settings as Cuda
from rackwright.roles.downloads.settings import Settings as Downloads
from rackwright.roles.etcd.settings import Settings as Etcd
from rackwright.roles.firewall.settings import Settings as Firewall
from rackwright.roles.gateway.settings import Settings as Gateway
from rackwright.roles.gpu_faults.settings import Settings as GpuFaults
from rackwright.roles.host_proxy.settings import Settings as HostProxy
from rackwright.roles.layout.settings import Settings as Layout
from rackwright.roles.ledger.settings import Settings as Ledger
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.roles.nvidia_driver.settings import Settings as Driver
from rackwright.roles.p2p.settings import Settings as PeerToPeer
from rackwright.roles.patch.settings import Settings as Patch
from rackwright.roles.people.settings import Settings as People
from rackwright.roles.probe.settings import Settings as Probe
from rackwright.roles.replica.settings import Settings as ReplicaUnit
from rackwright.roles.replica_group.settings import Settings as ReplicaGroup
from rackwright.roles.tool.settings import Settings as Tool
from rackwright.roles.usage.settings import Settings as Usage
from rackwright.roles.vip.settings import Settings as Vip
from rackwright.values.certificate import Issued, Issuer
from rackwright.values.file import File
from rackwright.values.network import Network
from rackwright.values.paths import HostPath
from rackwright.values.secrets import Secret


@dataclass(frozen=True)
class InstalledRuntime:
    settings: Runtime
    lock: RuntimeLock
    gpus: bool = False
    """Whether one of its engines on this host uses GPUs."""
    kept: HostPath | None = None
    """The folder in which the host keeps this build for its backups; None if the build can be downloaded again."""


@dataclass(frozen=True)
class InstalledTool:
    settings: Tool
    wheels: tuple[File, ...]
    """Those of all that it needs, and its own, a file on the controller. Empty: this rackwright isn't the version."""
    digest: str
    """Identifies all of them."""


@dataclass(frozen=True)
class Credentials:
    """Credentials that roles deliver, whatever their source."""

    issuer: Issuer | None = None
    """The fleet's CA; None if no certificate may be issued."""
    own_certificate: Issued | None = None
    """The operator's certificate for clients; None if the CA issues it."""
    hub_token: Secret | None = None
    backup: Mapping[str, Mapping[str, Access]] = field(default_factory=dict)
    """Host → repository name → the host's own access to it."""
    download_files: DownloadFiles = field(default_factory=DownloadFiles)
    clouds: Callable[[], Mapping[str, CloudAccess]] = field(default=dict)
    """Resolves the keys of clouds, by cloud: only an apply to a gateway needs these."""
    tool: Callable[[], Mapping[str, Secret]] = field(default=dict)
    """Resolves the secrets of hosts with the tool, by name: only an apply to one of them needs these."""


@dataclass(frozen=True)
class HostSpec:
    """The spec of one host for the deploys. None or empty means that the role has nothing to do there."""

    name: str
    layout: Layout
    firewall: Firewall
    baseline: Baseline
    certificates: tuple[Certificate, ...]
    model_store: ModelStore | None
    runtimes: tuple[InstalledRuntime, ...]
    replicas: tuple[ReplicaUnit, ...]
    probes: tuple[Probe, ...]
    """The probes of the replicas that answer here."""
    host_proxy: HostProxy | None
    gateway: Gateway | None
    replica_groups: tuple[ReplicaGroup, ...] = ()
    """The replica groups with a member here."""
    gpu_faults: GpuFaults | None = None
    cloud: Cloud | None = None
    """None unless the host is a gateway that passes requests to clouds."""
    records: bool = False
    """Whether `migrate capture` can record requests here."""
    ledger: Ledger | None = None
    """None unless the host is a gateway in front of clouds."""
    usage: Usage | None = None
    """None unless the host is a gateway."""
    vip: Vip | None = None
    etcd: Etcd | None = None
    """None unless the host is one of several control hosts."""
    tool: InstalledTool | None = None
    """None unless the host works when nobody watches."""
    backup: Backup | None = None
    credentials: Credentials = Credentials()
    people: People = field(default_factory=People)
    downloads: Downloads = field(default_factory=Downloads)
    driver: Driver | None = None
    """None if the host has no GPUs, or if rackwright doesn't manage its driver."""
    boot: Boot | None = None
    """None if rackwright never changes which kernel the host boots."""
    cuda: Cuda | None = None
    patch: Patch | None = None
    """None if the fleet file has no `patch`."""
    p2p: PeerToPeer | None = None
    """None if the host takes no part in peer-to-peer transfers."""
    never_shut_out: tuple[Network, ...] = ()
    """Networks that fail2ban never bans."""
    rolled: frozenset[str] = frozenset()
    """Replicas whose units are changed only by a rollout."""
