"""What an operator should do something about, with the next command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from rackwright.fleet.ca import ca_of
from rackwright.fleet.keys_file import read_keys
from rackwright.gateway import DrainRecord, LeftRecord
from rackwright.lifecycle.control.due import Act, disk_warnings, due_members
from rackwright.lifecycle.expiry import ending_cas, ending_certificates, ending_keys
from rackwright.lifecycle.gpus.status import host_warnings
from rackwright.lifecycle.session.control_host import unmoved
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey
from rackwright.lifecycle.status.parts import Drained
from rackwright.state.formats import stamp

_DONE: dict[Act, str] = {"replace": "replaced", "restart": "restarted"}


def warnings(
    session: Session, surveyed: Survey, ends: Mapping[str, Mapping[str, datetime | None]], now: datetime
) -> Iterator[str]:
    """Yield what the hosts and the files of this checkout need attention for."""
    yield from _ending(session, ends, now)
    yield from _left(surveyed)
    yield from _paused_keys(surveyed)
    for name, host in surveyed.hosts.items():
        yield from host_warnings(name, host.hardware)
    yield from surveyed.overrides
    yield from _control(session, surveyed)


def _control(session: Session, surveyed: Survey) -> Iterator[str]:
    if found := unmoved(session.fleet):
        yield found
    states = {name: host.etcd for name, host in surveyed.hosts.items()}
    for due in due_members(session.fleet, states, frozenset()):
        yield f"{due.host}: its etcd member should be {_DONE[due.act]}: {due.why}; next: rackwright apply"
    yield from disk_warnings(session.fleet, states)


def drained_of(record: DrainRecord | LeftRecord | None) -> Drained | None:
    return Drained(record.reason, record.who, stamp(record.time), record.manual) if record else None


def _ending(session: Session, ends: Mapping[str, Mapping[str, datetime | None]], now: datetime) -> Iterator[str]:
    for name, certificates in ends.items():
        for ending in ending_certificates(name, certificates, now):
            yield f"{ending.where}: {ending.said(now)}; next: {ending.next}"
    authority = ca_of(session.fleet)
    cas = ending_cas(authority.certificate_file.name, authority.ca_pem, now)
    for ending in (*cas, *ending_keys(read_keys(session.fleet.sibling("keys.yml")), now)):
        yield f"{ending.said(now)}; next: {ending.next}"


def _left(surveyed: Survey) -> Iterator[str]:
    for name, host in surveyed.hosts.items():
        if left := drained_of(host.left):
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
