"""Look at the fleet's lease, and break it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import targets
from rackwright.lifecycle.session.control_host import any_control_host, refuse_moved
from rackwright.lifecycle.session.control_store import store_of
from rackwright.lifecycle.session.operator import operator_of
from rackwright.run import new_run_id
from rackwright.state.audit import Act, write_audit
from rackwright.state.control import read_control
from rackwright.state.formats import utc_now
from rackwright.state.lease import Lease
from rackwright.state.shell import Shell
from rackwright.state.store import ControlStore

if TYPE_CHECKING:
    from rackwright.remote import Connection


@contextmanager
def control_store(fleet: Fleet) -> Iterator[tuple[ControlStore, Connection]]:
    """Yield the store of lease and journal, and a connection to a control host.

    Raise LeasedError if that host's record names other control hosts, HostError if no control host can be reached.
    """
    from rackwright.remote import Remote

    with Remote(targets(fleet, fleet.control)) as remote:
        connection = any_control_host(remote, fleet)
        refuse_moved(fleet, read_control(connection))
        yield store_of(fleet, remote), connection


def break_lease(fleet: Fleet, store: ControlStore, shell: Shell, lease: Lease, reason: str) -> None:
    """Remove the lease and write to the control host's audit log who broke whose lease, and why.

    Raise LeasedError, breaking nothing, if the lease has changed hands since it was read.
    """
    store.break_(lease)
    act = Act(
        time=utc_now(),
        operator=operator_of(fleet).who,
        run=new_run_id(),
        command="lease break",
        what=f"broke the lease of {lease}; reason: {reason}",
        outcome="done",
    )
    write_audit(shell, act)
