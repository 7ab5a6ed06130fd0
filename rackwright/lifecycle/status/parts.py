"""What status reports of hosts, replicas, backups and kits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rackwright.gateway.fallback_counts import Fallback
from rackwright.lifecycle.gpus.status import GpuStatus
from rackwright.roles.backup.state import age
from rackwright.roles.replica.state import PausedKey
from rackwright.state.journal import Entry
from rackwright.state.lease import Lease

_MINUTE = 60


class TrafficState(StrEnum):
    """Whether the gateways send requests to a replica."""

    YES = "yes"
    NO = "no"
    DRAINED = "drained"
    UNKNOWN = "unknown"


class HostState(StrEnum):
    OK = "ok"
    DISABLED = "disabled"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Drained:
    """Why a replica gets no new requests, or a gateway no new connections, as recorded on the gateways."""

    reason: str
    who: str
    since: str
    """UTC, ISO 8601."""
    manual: bool

    @property
    def text(self) -> str:
        """The reason, the operator, and since when."""
        return f"{self.reason} ({self.who.partition(' ')[0]}, since {self.since[:16].replace('T', ' ')} UTC)"


@dataclass(frozen=True)
class ReplicaStatus:
    """One replica, as its host and the gateways see it."""

    replica: str
    """HOST/MODEL@N."""
    model: str
    names: tuple[str, ...]
    state: str
    """loading, ready, busy, hung, faulted, stopped; unknown; not installed; unreachable."""
    reason: str | None
    """Why it doesn't serve, if that is known."""
    traffic: TrafficState
    in_flight: int | None
    version: str
    """The runtime and the first digits of the model's digest that it runs; if it doesn't run, those in the lock."""
    pending: str | None
    """What an apply would do to it, or why this machine can't tell."""
    drained: Drained | None = None
    """None: it isn't drained, or there is no record."""
    canary: float | None = None
    """Percentage of new conversations that it gets as a canary while it is drained; None: it isn't a canary."""
    paused_keys: tuple[PausedKey, ...] = ()
    """API keys that it gets no requests of, because they ended its engine."""
    gateways: Mapping[str, TrafficState] = field(default_factory=dict)
    """What each gateway says; unknown: it doesn't answer, or doesn't know the replica."""
    running_seconds: int | None = None
    """How long its engine has been running; None: it doesn't run, or its host doesn't say."""
    restarts: int = 0
    """How often its engine has been restarted automatically since it was last started manually."""
    last_end: str | None = None
    """Why the engine before this one ended, if that is why it was restarted."""
    prompt_tokens: int = 0
    """Of the prompts that it answered today (UTC), as far as the gateways that answer have counted them."""
    cached_tokens: int = 0
    """Those of them that its engine took from its cache."""

    @property
    def cache_text(self) -> str:
        """Which share of today's prompts its engine took from its cache; -: it had none."""
        return f"{100 * self.cached_tokens / self.prompt_tokens:.0f} %" if self.prompt_tokens else "-"

    @property
    def traffic_text(self) -> str:
        """The traffic; if it is drained, also why, by which operator and since when, and its share as a canary. If
        the gateways disagree, also what each of them says."""
        differing = len(set(self.gateways.values())) > 1
        each = f" ({', '.join(f'{name}: {said}' for name, said in self.gateways.items())})" if differing else ""
        if self.drained is None:
            return f"{self.traffic}{each}"
        share = "" if self.canary is None else f"; canary: {self.canary:g} % of the conversations"
        return f"drained: {self.drained.text}{share}{each}"

    @property
    def started_text(self) -> str:
        """When its engine started, and if it was restarted automatically, how often and why."""
        if self.running_seconds is None:
            return "-"
        ago = age(self.running_seconds) if self.running_seconds >= _MINUTE else f"{self.running_seconds} s"
        why = f": {self.last_end}" if self.last_end else ""
        return f"{ago} ago, restart {self.restarts}{why}" if self.restarts else f"{ago} ago"


@dataclass(frozen=True)
class HostStatus:
    host: str
    state: HostState
    pending: str | None
    certificates: Mapping[str, int]
    """Stem → days until the certificate ends; 0 if it has ended or can't be read."""
    driver: str | None = None
    """Version, CUDA and module of the GPU driver; None: there is none, or it doesn't answer."""
    reason: str | None = None
    """Why it is disabled or unreachable."""
    left: Drained | None = None
    """Why this gateway takes no connections; None: it takes some, or isn't a gateway."""


@dataclass(frozen=True)
class BackupStatus:
    """One host's backups in one repository, as the host recorded them."""

    host: str
    repository: str
    snapshot: str | None
    snapshot_age: int | None
    """Seconds since the last good snapshot; None: there is none yet."""
    files: int | None
    bytes: int | None
    check_age: int | None
    """Seconds since the last good check; None: there is none yet."""
    running: bool
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class KitStatus:
    """The kit in one repository, as the control hosts recorded it."""

    repository: str
    snapshot: str | None
    """None: there is none yet."""
    time: str | None
    """When it was saved, UTC."""
    age: int | None
    """Seconds since then, by this machine's clock."""
    with_ca_key: bool | None
    current: bool | None
    """Whether it holds what was applied last; None: unknown, or there is no kit."""

    @property
    def warning(self) -> str | None:
        """What an operator should do about it."""
        save = f"rackwright backup kit --to {self.repository}"
        if self.snapshot is None:
            return f"there is no kit at {self.repository} yet; next: {save}"
        if self.current is False:
            return f"the kit at {self.repository} doesn't hold what was applied last; next: {save}"
        if not self.with_ca_key:
            return f"the kit at {self.repository} has no CA key; next: {save}, on a machine that has the key"
        return None


@dataclass(frozen=True)
class CloudStatus:
    """One cloud as one gateway sees it."""

    gateway: str
    cloud: str
    reached: bool
    """Whether it would pass requests on."""
    found: str
    """How many of its addresses are up, or why none is."""

    @property
    def text(self) -> str:
        return f"{'up' if self.reached else 'DOWN'}, {self.found}"


@dataclass(frozen=True)
class ScheduleStatus:
    name: str
    when: str
    """As in the fleet file, with the time zone."""
    next: str | None
    """When it starts next (UTC); None: not within a year."""
    paused_until: str | None
    running_on: str | None
    """The machine that works on it; None: none does."""

    @property
    def text(self) -> str:
        if self.running_on:
            return f"{self.name}: runs on {self.running_on}"
        paused = f"; paused until {self.paused_until}" if self.paused_until else ""
        return f"{self.name}: {self.when}; next {self.next or 'never'}{paused}"


@dataclass(frozen=True)
class Status:
    hosts: tuple[HostStatus, ...]
    replicas: tuple[ReplicaStatus, ...]
    backups: tuple[BackupStatus, ...]
    lease: Lease | None
    notes: tuple[str, ...]
    """What could not be asked, and why."""
    warnings: tuple[str, ...]
    """What ends soon (API keys, certificates), hardware problems, and files that change our units, each with
    what to do."""
    gpus: tuple[GpuStatus, ...] = ()
    rollout: Entry | None = None
    """The journal entry that opened the open rollout; None: no rollout is open."""
    kits: tuple[KitStatus, ...] = ()
    """Empty if no control host was asked."""
    schedules: tuple[ScheduleStatus, ...] = ()
    """What runs on a schedule; empty if no control host could be asked."""
    clouds: tuple[CloudStatus, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    """Migrations for which a cloud may answer in the fleet's place, or has."""

    @property
    def healthy(self) -> bool:
        """Whether every host answers or is disabled, every replica takes requests or is drained, every gateway
        reaches its clouds, no cloud had to answer in the fleet's place, and no backup has an alarm."""
        serving = all(replica.traffic in (TrafficState.YES, TrafficState.DRAINED) for replica in self.replicas)
        reached = all(host.state is not HostState.UNREACHABLE for host in self.hosts)
        reached &= all(cloud.reached for cloud in self.clouds)
        serving &= not any(one.alarm for one in self.fallbacks)
        return serving and reached and not self.notes and not any(backup.alarms for backup in self.backups)
