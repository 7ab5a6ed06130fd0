"""Control hosts keep the fleet's lease and journal. Only `lease move` moves them to other hosts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rackwright.errors import HostError, LeasedError
from rackwright.fleet.fleet import Fleet
from rackwright.remote.answers import UnreadableAnswer, read_answer
from rackwright.state.audit import Act, write_audit
from rackwright.state.control import ControlRecord, parse_control, read_command, write_control
from rackwright.state.formats import NewerFormat, stamp, utc_now
from rackwright.state.journal import Event, open_rollout
from rackwright.state.lease_session import LeaseSession, hold
from rackwright.state.store import FileStore
from rackwright.values.text import enumerated

if TYPE_CHECKING:
    from rackwright.lifecycle.session.console import Console
    from rackwright.remote import Connection, Remote

_READING = "reading the record of the control host"


@dataclass(frozen=True)
class ControlReport:
    """Which hosts are the control hosts, according to each host that was asked."""

    records: Mapping[str, ControlRecord | None]
    """By host, for each that answered; None: it has no record."""

    @property
    def latest(self) -> ControlRecord | None:
        """The record that counts; None: no host has one."""
        return latest(self.records.values())


def latest(records: Iterable[ControlRecord | None]) -> ControlRecord | None:
    """Return the newest of these records, None if there is none."""
    return max(filter(None, records), key=lambda record: record.number, default=None)


def record_hosts(fleet: Fleet) -> tuple[str, ...]:
    """Return the hosts that every command asks for the record, the control hosts first.

    Those that the fleet file names as control hosts may be that already, after a move that this checkout lacks.
    """
    return tuple(dict.fromkeys((*fleet.control, *fleet.named_control, *fleet.gateways)))


def ask_control_hosts(remote: Remote, fleet: Fleet) -> ControlReport:
    """Return the records of gateways and control hosts; if none of them has one, ask all hosts.

    Raise HostError if a newer rackwright wrote one, or if one of a gateway or control host can't be read: without it,
    a second control host could be recorded.
    """
    report = _ask(remote, record_hosts(fleet), needed=True)
    if report.latest:
        return report
    others = _ask(remote, [name for name in fleet.hosts if name not in report.records], needed=False)
    return ControlReport({**report.records, **others.records})


def _ask(remote: Remote, hosts: Iterable[str], *, needed: bool) -> ControlReport:
    report: dict[str, ControlRecord | None] = {}
    for name, answer in remote.run_on(hosts, read_command()).items():
        if not isinstance(answer, HostError):
            text = answer.check(_READING).stdout
            try:
                report[name] = read_answer(name, _READING, parse_control, text, name)
            except UnreadableAnswer as error:
                if needed or isinstance(error.__cause__, NewerFormat):
                    raise
    return ControlReport(report)


def any_control_host(remote: Remote, fleet: Fleet) -> Connection:
    """Return the first control host that can be reached. Raise the last one's HostError if none can be."""
    *others, last = (remote.connection(name) for name in fleet.control)
    for connection in others:
        with suppress(HostError):
            connection.open()
            return connection
    last.open()
    return last


def refuse_moved(fleet: Fleet, record: ControlRecord | None) -> None:
    """Raise LeasedError if the record names other control hosts than this checkout, or if too few are in service."""
    if record is None:
        return
    here = fleet.control_hosts
    if set(record.hosts) != set(here):
        raise LeasedError(
            f"{record} (since {stamp(record.since)}, {record.who}); this checkout names {enumerated(here)}",
            where=str(fleet.sibling("lock") if fleet.recorded else fleet.path),
            should="with lease and journal in two places, two operators could work at once and forget a rollout",
            next="git pull if a colleague moved them; else rackwright lease move",
        )
    if len(fleet.control) * 2 <= len(here):
        raise LeasedError(
            f"only {len(fleet.control)} of the control hosts {enumerated(here)} are in service in the fleet file",
            where=str(fleet.path),
            should="more than half of them must be, or nothing can be written",
            next="put them back in service, or name others in control: and rackwright lease move",
        )


def unmoved(fleet: Fleet) -> str | None:
    """Return what to do if the fleet file names other control hosts than keep lease and journal; None: it doesn't."""
    named = fleet.named(fleet.file.control) or fleet.named_control
    if set(named) == set(fleet.control_hosts) or set(fleet.named_control) == set(fleet.control_hosts):
        return None
    keep = "keeps" if len(fleet.control_hosts) == 1 else "keep"
    return (
        f"{enumerated(fleet.control_hosts)} {keep} lease and journal, the fleet file names"
        f" {enumerated(fleet.named_control)}; next: rackwright lease move, once these are applied"
    )


def record_control_host(
    remote: Remote, fleet: Fleet, lease_session: LeaseSession, report: ControlReport, console: Console
) -> None:
    """Write the record to all gateways and control hosts that can be reached. Needs the lease.

    Raise LeasedError, changing nothing, if this checkout and the record name different control hosts. If a former
    control host is reachable again and still has an open rollout, close it: it can't be resumed there any more.
    """
    refuse_moved(fleet, report.latest)
    record = report.latest or ControlRecord(
        hosts=fleet.control_hosts, number=1, since=utc_now(), who=lease_session.lease.owner.who
    )
    behind = {name: report.records[name] for name in record_hosts(fleet) if name in report.records}
    for name, found in behind.items():
        if found and found.hosts == (name,) != record.hosts:
            _close_forgotten(remote, name, record, lease_session, console)
    copy_record(remote, record, [name for name, found in behind.items() if found != record])


def copy_record(remote: Remote, record: ControlRecord, hosts: Iterable[str]) -> None:
    """Write the record to these hosts, skipping unreachable ones. Raise HostError if the only control host is one."""

    def write(name: str) -> None:
        try:
            write_control(remote.connection(name), record)
        except HostError:
            if record.hosts == (name,):
                raise

    remote.each(hosts, write)


def _close_forgotten(
    remote: Remote, former: str, record: ControlRecord, lease_session: LeaseSession, console: Console
) -> None:
    """Close the rollout that is still open on the former control host. Raise LeasedError if its lease is taken."""
    shell = remote.connection(former)
    with hold(FileStore(shell), lease_session.lease.owner) as old:
        opened = open_rollout(old.store.entries())
        if opened is None:
            return
        what = f"the rollout {opened.rollout} ({opened.detail}) of {opened.operator}"
        old.write(
            Event.CLOSED,
            opened.rollout,
            detail=f"{record} since {stamp(record.since)}",
        )
    console.say(
        f"{former} was the control host and still had {what} open: it is closed now."
        " `rackwright plan` shows what runs."
    )
    with suppress(HostError):
        write_audit(shell, control_act(lease_session, f"closed {what}: {record} now"))


def control_act(lease_session: LeaseSession, what: str) -> Act:
    owner = lease_session.lease.owner
    return Act(
        time=utc_now(), operator=owner.who, run=lease_session.run, command=owner.why, what=what, outcome="done"
    )
