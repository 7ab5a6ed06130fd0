"""Ask hosts, gateways and the control host for their state, and for what is pending. Read-only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.fleet.lock import lock_digest
from rackwright.lifecycle.apply.plan import restarts
from rackwright.lifecycle.gpus.assignment import deferred
from rackwright.lifecycle.gpus.status import driver_of, gpu_statuses
from rackwright.lifecycle.schedule.look import warnings_of
from rackwright.lifecycle.session.control_host import refuse_moved
from rackwright.lifecycle.session.last_applied import last_applied
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey, survey
from rackwright.lifecycle.status.occasions import Rechecks, ask_rechecks, ask_schedules, schedule_statuses
from rackwright.lifecycle.status.parts import HostState, HostStatus, Status
from rackwright.lifecycle.status.replicas import ask_engines, ask_reuse, replica_status
from rackwright.lifecycle.status.saved import backups, kits
from rackwright.lifecycle.status.traffic import ask_gateways
from rackwright.lifecycle.status.warnings import drained_of, warnings
from rackwright.remote.answers import read_each
from rackwright.roles.certificate.ends import COMMAND as CERTIFICATES_COMMAND
from rackwright.roles.certificate.ends import parse as parse_ends
from rackwright.state.applied import stale_checkout
from rackwright.state.checkout import checkout
from rackwright.state.formats import utc_now
from rackwright.state.journal import Entry, open_rollout
from rackwright.state.lease import Lease

_BEHIND = "this checkout is behind: git pull"
_ROLLOUT = "the open rollout changes it"


def status(session: Session) -> Status:
    """Ask hosts, gateways and the control host; change nothing. Anything that doesn't answer is reported as such."""
    from rackwright.remote import Background

    surveyed, notes, now = survey(session), list[str](), utc_now()
    asking = Background(lambda: ask_gateways(session, surveyed))
    asking_engines = Background(lambda: ask_engines(session, surveyed))
    asking_reuse = Background(lambda: ask_reuse(session, surveyed, now))
    ends = _certificate_ends(session, surveyed)
    lease, rollout = _at_work(session, surveyed, notes)
    asking_again = None if notes else Background(lambda: ask_rechecks(session, now))
    scheduled = () if notes else ask_schedules(session, now, notes)
    behind = _behind(session, surveyed)
    traffic, engines, reuse = asking.result(), asking_engines.result(), asking_reuse.result()
    again = asking_again.result() if asking_again else Rechecks()
    notes += again.notes
    notes += (f"gateway {name}: {why}" for name, why in traffic.silent.items() if name not in surveyed.unreachable)
    pending = _pending(session, surveyed, behind=bool(behind), rolling=rollout is not None)
    saved = tuple(kits(session, surveyed, now))
    return Status(
        hosts=tuple(
            _host(session, surveyed, name, _days(ends.get(name, {}), now), behind=bool(behind))
            for name in session.fleet.file.hosts
            if _looked_at(session, name)
        ),
        replicas=tuple(
            replica_status(session, surveyed, traffic, engines, reuse, pending.get(replica.address), replica)
            for replica in session.fleet.replicas
            if _looked_at(session, replica.host)
        ),
        backups=tuple(backups(session, surveyed)),
        lease=lease,
        rollout=rollout,
        notes=tuple(notes),
        warnings=(
            *([behind] if behind else []),
            *warnings(session, surveyed, ends, now),
            *(kit.warning for kit in saved if kit.warning),
            *traffic.warnings(),
            *(text for one in scheduled for text in warnings_of(one)),
            *again.warnings,
        ),
        kits=saved,
        clouds=tuple(traffic.clouds()),
        fallbacks=traffic.fallbacks(),
        schedules=tuple(schedule_statuses(scheduled)),
        gpus=tuple(gpu for name, host in surveyed.hosts.items() for gpu in gpu_statuses(name, host.hardware)),
    )


def _certificate_ends(session: Session, surveyed: Survey) -> dict[str, dict[str, datetime | None]]:
    """Return when each host's certificates end. A host that doesn't answer is left out; the survey reports it."""
    answers = session.remote.run_on(tuple(surveyed.hosts), CERTIFICATES_COMMAND)
    ends = read_each(answers, "asking for certificates", parse_ends)
    return {name: found for name, found in ends.items() if not isinstance(found, HostError)}


def _days(ends: Mapping[str, datetime | None], now: datetime) -> dict[str, int]:
    return {stem: max((end - now).days, 0) if end else 0 for stem, end in ends.items()}


def _looked_at(session: Session, host: str) -> bool:
    """Return whether the host is reported: if no limit is set, disabled hosts are included."""
    return host in session.hosts or set(session.hosts) == set(session.fleet.hosts)


def _at_work(session: Session, surveyed: Survey, notes: list[str]) -> tuple[Lease | None, Entry | None]:
    """Return the lease and the entry of the open rollout."""
    try:
        refuse_moved(session.fleet, surveyed.control)
        return session.store.show(), open_rollout(session.store.entries())
    except RackwrightError as error:
        notes.append(f"lease: {error.problems[0].what}")
        return None, None


def _behind(session: Session, surveyed: Survey) -> str | None:
    """Return which commit was applied that this checkout lacks, with what to do; None: git shows no such commit.

    The control hosts are asked only if a host has another lock than this checkout.
    """
    digest = lock_digest(session.lock)
    others = [name for name, host in surveyed.hosts.items() if host.applied_lock not in (None, digest)]
    if not others or not set(session.fleet.control) & set(surveyed.hosts):
        return None
    try:
        stale_checkout(last_applied(session.remote, session.fleet), checkout(session.fleet))
    except LeasedError as error:
        return f"{error.problems[0].what}; next: {error.problems[0].next}"
    except RackwrightError:
        # `apply` says what is wrong with the record; the state of the service doesn't depend on it.
        pass
    return None


def _pending(session: Session, surveyed: Survey, *, behind: bool, rolling: bool) -> dict[str, str]:
    """Return what is pending, by HOST/MODEL@N. What others have changed isn't drift."""
    restarting = {restart.replica for restart in restarts(session, surveyed)}
    pending = {waiting.replica.address: waiting.why for waiting in deferred(session, surveyed, restarting)}
    what = _BEHIND if behind else _ROLLOUT if rolling else "restart"
    return pending | {replica.address: what for replica in restarting}


def _host(
    session: Session, surveyed: Survey, name: str, certificates: Mapping[str, int], *, behind: bool
) -> HostStatus:
    if reason := session.fleet.file.hosts[name].disabled:
        return HostStatus(name, HostState.DISABLED, None, certificates, reason=reason)
    if reason := surveyed.unreachable.get(name):
        return HostStatus(name, HostState.UNREACHABLE, None, certificates, reason=reason)
    host = surveyed.hosts[name]
    other = "a newer lock was applied" if behind else "another lock was applied"
    lock = "never applied" if host.applied_lock is None else other
    reasons = (None if host.applied_lock == lock_digest(session.lock) else lock, host.driver.reboot_pending)
    pending = "; ".join(text for text in reasons if text) or None
    return HostStatus(name, HostState.OK, pending, certificates, driver_of(host.hardware), left=drained_of(host.left))
