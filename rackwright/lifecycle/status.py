"""The state of hosts, replicas and backups, and what is pending. Read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.backup_access import kit_repositories
from rackwright.fleet.ca import ca_of
from rackwright.fleet.fleet import Replica
from rackwright.fleet.keys_file import read_keys
from rackwright.fleet.lock import lock_digest
from rackwright.gateway import DrainRecord, LeftRecord, ServerState
from rackwright.lifecycle.apply.plan import restarts
from rackwright.lifecycle.expiry import ending_cas, ending_certificates, ending_keys
from rackwright.lifecycle.gpus.assignment import deferred
from rackwright.lifecycle.gpus.status import GpuStatus, driver_of, gpu_statuses, host_warnings
from rackwright.lifecycle.session.control_host import refuse_moved
from rackwright.lifecycle.session.kit import surveyed_kit
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey, survey
from rackwright.remote.answers import read_each
from rackwright.roles.certificate.ends import COMMAND as CERTIFICATES_COMMAND
from rackwright.roles.certificate.ends import parse as parse_ends
from rackwright.roles.replica.state import PausedKey
from rackwright.state.formats import stamp, utc_now
from rackwright.state.journal import Entry, open_rollout
from rackwright.state.lease import Lease


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
    """Runtime and first digits of the model's digest in the lock."""
    pending: str | None
    """What an apply would do to it."""
    drained: Drained | None = None
    """None: it isn't drained, or there is no record."""
    canary: float | None = None
    """Percentage of new conversations that it gets as a canary while it is drained; None: it isn't a canary."""
    paused_keys: tuple[PausedKey, ...] = ()
    """API keys that it gets no requests of, because they ended its engine."""

    @property
    def traffic_text(self) -> str:
        """The traffic; if it is drained, also why, by which operator and since when, and its share as a canary."""
        if self.drained is None:
            return self.traffic
        share = "" if self.canary is None else f"; canary: {self.canary:g} % of the conversations"
        return f"drained: {self.drained.text}{share}"


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

    @property
    def healthy(self) -> bool:
        """Whether every host answers or is disabled, every replica takes requests or is drained, and no backup has an
        alarm."""
        serving = all(replica.traffic in (TrafficState.YES, TrafficState.DRAINED) for replica in self.replicas)
        reached = all(host.state is not HostState.UNREACHABLE for host in self.hosts)
        return serving and reached and not self.notes and not any(backup.alarms for backup in self.backups)


def status(session: Session) -> Status:
    """Ask hosts, gateways and the control host; change nothing. Anything that doesn't answer is reported as such."""
    surveyed = survey(session)
    notes: list[str] = []
    servers, dropped = _servers(session, notes), tuple(_dropped_lines(session, notes))
    ends, now = _certificate_ends(session, surveyed), utc_now()
    restarting = {restart.replica for restart in restarts(session, surveyed)}
    pending = {waiting.replica.address: waiting.why for waiting in deferred(session, surveyed, restarting)}
    pending |= {replica.address: "restart" for replica in restarting}
    lease, rollout = _at_work(session, surveyed, notes)
    kits = tuple(_kits(session, surveyed, now))
    return Status(
        hosts=tuple(
            _host(session, surveyed, name, _days(ends.get(name, {}), now))
            for name in session.fleet.file.hosts
            if _looked_at(session, name)
        ),
        replicas=tuple(
            _replica(session, surveyed, servers, pending.get(replica.address), replica)
            for replica in session.fleet.replicas
            if _looked_at(session, replica.host)
        ),
        backups=tuple(_backups(session, surveyed)),
        lease=lease,
        rollout=rollout,
        notes=tuple(notes),
        warnings=(
            *_warnings(session, ends, now),
            *_left(surveyed),
            *_paused_keys(surveyed),
            *_hardware_warnings(surveyed),
            *(kit.warning for kit in kits if kit.warning),
            *surveyed.overrides,
            *dropped,
        ),
        kits=kits,
        gpus=tuple(gpu for name, host in surveyed.hosts.items() for gpu in gpu_statuses(name, host.hardware)),
    )


def _certificate_ends(session: Session, surveyed: Survey) -> dict[str, dict[str, datetime | None]]:
    """Return when each host's certificates end. A host that doesn't answer is left out; the survey reports it."""
    answers = session.remote.run_on(tuple(surveyed.hosts), CERTIFICATES_COMMAND)
    ends = read_each(answers, "asking for certificates", parse_ends)
    return {name: found for name, found in ends.items() if not isinstance(found, HostError)}


def _days(ends: Mapping[str, datetime | None], now: datetime) -> dict[str, int]:
    return {stem: max((end - now).days, 0) if end else 0 for stem, end in ends.items()}


def _warnings(session: Session, ends: Mapping[str, Mapping[str, datetime | None]], now: datetime) -> Iterator[str]:
    for name, certificates in ends.items():
        for ending in ending_certificates(name, certificates, now):
            yield f"{ending.where}: {ending.said(now)}; next: {ending.next}"
    authority = ca_of(session.fleet)
    cas = ending_cas(authority.certificate_file.name, authority.ca_pem, now)
    for ending in (*cas, *ending_keys(read_keys(session.fleet.sibling("keys.yml")), now)):
        yield f"{ending.said(now)}; next: {ending.next}"


def _left(surveyed: Survey) -> Iterator[str]:
    for name, host in surveyed.hosts.items():
        if left := _out(host.left):
            command = "undrain" if left.manual else "rollout resume, or rackwright undrain"
            yield f"{name}: this gateway takes no connections: {left.text}; next: rackwright {command} {name}"


def _paused_keys(surveyed: Survey) -> Iterator[str]:
    for name, host in surveyed.hosts.items():
        for replica in host.replicas.values():
            for paused in replica.paused:
                address, until = f"{name}/{replica.replica}", datetime.fromtimestamp(paused.until, UTC)
                yield (
                    f"{address}: requests of the key {paused.key} ended its engine {paused.times} times; the key is "
                    f"paused there until {until:%H:%M} UTC; "
                    f"next: rackwright logs {address}; rackwright key revoke {paused.key}"
                )


def _hardware_warnings(surveyed: Survey) -> Iterator[str]:
    for name, host in surveyed.hosts.items():
        yield from host_warnings(name, host.hardware)


def _looked_at(session: Session, host: str) -> bool:
    """Return whether the host is reported: if no limit is set, disabled hosts are included."""
    return host in session.hosts or set(session.hosts) == set(session.fleet.hosts)


def _servers(session: Session, notes: list[str]) -> Mapping[str, ServerState]:
    try:
        return session.gateways.servers()
    except HostError as error:
        notes.append(f"gateways: {error.problems[0].what}")
        return {}


def _dropped_lines(session: Session, notes: list[str]) -> Iterator[str]:
    try:
        counts = {} if notes else session.gateways.dropped_lines()
    except HostError as error:
        notes.append(f"gateways: {error.problems[0].what}")
        return
    for name, count in counts.items():
        if count:
            yield (
                f"{name}: HAProxy has dropped {count} log lines, because journald was too slow; requests may be "
                f"missing in the access log; next: on {name}, journalctl -u systemd-journald"
            )


def _at_work(session: Session, surveyed: Survey, notes: list[str]) -> tuple[Lease | None, Entry | None]:
    """Return the lease and the entry of the open rollout."""
    try:
        refuse_moved(session.fleet, surveyed.control)
        return session.store.show(), open_rollout(session.store.entries())
    except RackwrightError as error:
        notes.append(f"lease: {error.problems[0].what}")
        return None, None


def _host(session: Session, surveyed: Survey, name: str, certificates: Mapping[str, int]) -> HostStatus:
    if reason := session.fleet.file.hosts[name].disabled:
        return HostStatus(name, HostState.DISABLED, None, certificates, reason=reason)
    if reason := surveyed.unreachable.get(name):
        return HostStatus(name, HostState.UNREACHABLE, None, certificates, reason=reason)
    host = surveyed.hosts[name]
    other = "never applied" if host.applied_lock is None else "another lock was applied"
    lock = None if host.applied_lock == lock_digest(session.lock) else other
    pending = "; ".join(text for text in (lock, host.driver.reboot_pending) if text) or None
    return HostStatus(name, HostState.OK, pending, certificates, driver_of(host.hardware), left=_out(host.left))


def _backups(session: Session, surveyed: Survey) -> Iterator[BackupStatus]:
    for name, host in surveyed.hosts.items():
        backup = session.hosts[name].backup
        for repository in backup.saving if backup else ():
            state = host.backup.of(repository)
            yield BackupStatus(
                host=name,
                repository=repository.name,
                snapshot=state.snapshot,
                snapshot_age=state.snapshot_age,
                files=state.files,
                bytes=state.bytes,
                check_age=state.check_age,
                running=state.running,
                alarms=state.alarms,
            )


def _kits(session: Session, surveyed: Survey, now: datetime) -> Iterator[KitStatus]:
    known = surveyed_kit(session.fleet, surveyed)
    if known is None:
        return
    for name in kit_repositories(session.fleet):
        saved = known.record.at.get(name)
        if saved is None:
            yield KitStatus(name, None, None, None, None, None)
        else:
            age = max(int((now - saved.when).total_seconds()), 0)
            current = None if known.applied is None else saved.applied == known.applied
            yield KitStatus(name, saved.snapshot, stamp(saved.when), age, saved.with_ca_key, current)


def _replica(
    session: Session, surveyed: Survey, servers: Mapping[str, ServerState], pending: str | None, replica: Replica
) -> ReplicaStatus:
    host = surveyed.hosts.get(replica.host)
    found = host.replicas.get(replica.name) if host else None
    server = servers.get(replica.address)
    model = session.fleet.file.models[replica.model]
    state = "unreachable" if host is None else "not installed" if found is None else found.probe
    return ReplicaStatus(
        replica=replica.address,
        model=replica.model,
        names=model.served,
        state=state,
        reason=found.why if found else None,
        traffic=_traffic(server),
        in_flight=server.in_flight if server else None,
        version=f"{model.runtime.kind} {model.runtime.version}, {session.lock.models[replica.model].digest[:16]}",
        pending=pending or (None if found or host is None else "install"),
        drained=_drained(server),
        canary=server.canary.percent if server and server.canary else None,
        paused_keys=found.paused if found else (),
    )


def _traffic(server: ServerState | None) -> TrafficState:
    if server is None:
        return TrafficState.UNKNOWN
    if server.drained:
        return TrafficState.DRAINED
    return TrafficState.YES if server.up else TrafficState.NO


def _drained(server: ServerState | None) -> Drained | None:
    if server is None or not server.drained or server.record is None:
        return None
    return _out(server.record)


def _out(record: DrainRecord | LeftRecord | None) -> Drained | None:
    return Drained(record.reason, record.who, stamp(record.time), record.manual) if record else None
