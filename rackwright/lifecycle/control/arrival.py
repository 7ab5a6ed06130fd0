"""What the new control hosts get from the former ones, and the record that they are the control hosts now."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.control.moving import Moving
from rackwright.lifecycle.session.control_host import control_act, copy_record
from rackwright.lifecycle.session.control_store import store_on
from rackwright.roles.etcd.settings import MEMBER
from rackwright.state.applied import read_applied
from rackwright.state.audit import write_audit
from rackwright.state.contents import Contents
from rackwright.state.control import copy_files, write_control
from rackwright.state.lease_session import LeaseSession

_NEVER = datetime.fromtimestamp(0, UTC)


def contents_of_survivors(moving: Moving) -> Contents | None:
    """Return what those former control hosts have that can be reached, too few to agree; None: none can be reached.

    Each answers alone, and the newest data among them is used. Raise HostError if one has data and doesn't answer:
    they must not be taken for lost.
    """
    if len(moving.former.hosts) == 1:
        return None
    found = [
        store_on(moving.remote, (name,), several=True).dump()
        for name in moving.known
        if moving.membership.reached(name) and _alone(moving, name)
    ]
    return max(found, key=lambda contents: (contents.token, len(contents.journal)), default=None)


def _alone(moving: Moving, name: str) -> bool:
    try:
        return moving.membership.alone(name)
    except HostError as error:
        next_ = f"if its data is damaged: rm {MEMBER} there, and the same command again"
        raise error.but(should="should start alone, with the data that it has", next=next_) from None


def copy_other_files(moving: Moving) -> None:
    """Copy what control hosts keep for themselves from all former ones that can be reached to the new ones.

    Changes of API keys are merged. The applied fleet that was applied last comes last, and so stays.
    """
    applied = {name: _applied(moving, name) for name in moving.known if moving.membership.reached(name)}
    for source in sorted(applied, key=lambda name: applied[name]):
        for name in moving.record.hosts:
            if name != source:
                copy_files(moving.remote.connection(source), moving.remote.connection(name))


def _applied(moving: Moving, name: str) -> datetime:
    try:
        found = read_applied(moving.remote.connection(name))
    except RackwrightError:
        # A damaged copy must not replace a good one.
        return _NEVER
    return found.about.when if found else _NEVER


def record_move(moving: Moving, lease_session: LeaseSession, former: LeaseSession | None) -> None:
    """Write the record to all hosts that were asked, to the former ones first.

    Then those grant no lease any more, and the move can be repeated. Raise HostError if a former one that can be
    reached, or a new one, can't write it.
    """
    lease_session.check()
    if former is not None:
        former.check()
    for name in dict.fromkeys((*moving.known, *moving.record.hosts)):
        if name in moving.record.hosts or moving.membership.reached(name):
            write_control(moving.remote.connection(name), moving.record)
    copy_record(moving.remote, moving.record, moving.asked)
    act = control_act(lease_session, f"{moving.record} now")
    for name in dict.fromkeys((*moving.record.hosts, *moving.known)):
        with suppress(HostError):
            write_audit(moving.remote.connection(name), act)
