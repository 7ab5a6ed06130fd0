"""Move the lease and the journal to the control host that the fleet file names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rackwright.errors import HostError, LeasedError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import target, targets
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.control_host import ask_control_hosts, control_act, copy_record, record_hosts
from rackwright.lifecycle.session.operator import operator_of
from rackwright.state.audit import write_audit
from rackwright.state.control import ControlRecord, copy_state, write_control
from rackwright.state.formats import stamp, utc_now
from rackwright.state.journal import open_rollout
from rackwright.state.lease import Owner
from rackwright.state.lease_session import LeaseSession, hold, owner, refuse_open_rollout
from rackwright.state.shell import Shell
from rackwright.state.store import FileStore

if TYPE_CHECKING:
    from rackwright.remote import Remote


@dataclass(frozen=True)
class Moved:
    host: str
    former: str
    copied: bool
    """Whether the former control host's state was copied."""


def move_control(fleet: Fleet, console: Console, *, former_gone: bool) -> Moved | None:
    """Move lease, journal and the rest of the former control host's state to the one that the fleet file names.

    Return None, changing nothing, if it is the control host already. `former_gone` allows the move if the former one
    can't be reached. Raise LeasedError while another operator has the lease, or a rollout is open there.
    """
    from rackwright.remote import Remote

    host = fleet.control[0]
    with Remote(targets(fleet)) as remote:
        report = ask_control_hosts(remote, fleet)
        latest = report.latest
        if latest is None or latest.host == host:
            return None
        who = operator_of(fleet, remote.connection(host))
        work = owner(who.who, who.machine, f"lease move from {latest.host} to {host}")
        with (
            hold(FileStore(remote.connection(host)), work) as lease_session,
            _former(fleet, latest, work, console) as former,
        ):
            if former is None:
                _agree_without(latest, console, former_gone)
                _say_open(lease_session, host, console)
            console.confirm(f"Move lease and journal from {latest.host} to {host}?")
            record = ControlRecord(host=host, number=latest.number + 1, since=utc_now(), who=who.who)
            _move(
                remote,
                lease_session,
                record,
                former,
                [name for name in record_hosts(fleet) if name in report.records],
            )
    return Moved(host, latest.host, former is not None)


@contextmanager
def _former(fleet: Fleet, latest: ControlRecord, work: Owner, console: Console) -> Iterator[Shell | None]:
    """Yield the former control host, leased and without an open rollout; None if it can't be reached."""
    from rackwright.remote import Remote

    if latest.host not in fleet.file.hosts:
        console.say(f"{latest.host} isn't in the fleet file")
        yield None
        return
    with Remote((target(fleet, latest.host),)) as remote:
        shell = remote.connection(latest.host)
        try:
            shell.open()
        except HostError as error:
            console.say(f"{latest.host} can't be reached: {error.problems[0].what}")
            yield None
            return
        with hold(FileStore(shell), work) as lease_session:
            _refuse_open(lease_session, latest.host)
            yield shell


def _refuse_open(lease_session: LeaseSession, former: str) -> None:
    try:
        refuse_open_rollout(lease_session.store)
    except LeasedError as error:
        next_ = f"list {former} first in control: again, then rackwright rollout resume or abort"
        raise error.but(should="it must be closed before the lease and the journal can move", next=next_) from None


def _agree_without(latest: ControlRecord, console: Console, former_gone: bool) -> None:
    if former_gone:
        return
    unknown = f"it is unknown whether an operator has the lease on {latest.host}, or a rollout is open there"
    refusal = HostError(
        unknown,
        where=latest.host,
        should="it should be reachable, or permanently out of use",
        next="rackwright lease move --former-gone",
    )
    console.say(f"{latest.host}: {unknown}")
    console.confirm(f"Is {latest.host} out of use, and no operator at work?", refusal=refusal)


def _say_open(lease_session: LeaseSession, host: str, console: Console) -> None:
    if opened := open_rollout(lease_session.store.entries()):
        console.say(
            f"{host} has the rollout {opened.rollout} ({opened.detail}) open since {stamp(opened.time)}, when it"
            " was the control host. To see it: rackwright rollout status"
        )


def _move(
    remote: Remote, lease_session: LeaseSession, record: ControlRecord, former: Shell | None, hosts: list[str]
) -> None:
    """Write the record to the former host first: then no lease is granted there, and the move can be retried."""
    shell = remote.connection(record.host)
    if former:
        lease_session.check()
        lease_session.store.load(lease_session.lease, FileStore(former).dump())
        copy_state(former, shell)
        lease_session.check()
        write_control(former, record)
    copy_record(remote, record, hosts)
    act = control_act(lease_session, f"{record.host} is the control host now")
    for one in filter(None, (shell, former)):
        with suppress(HostError):
            write_audit(one, act)
