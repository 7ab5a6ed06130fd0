"""Look at the fleet's lease, and break it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import target
from rackwright.lifecycle.session.control_host import refuse_moved
from rackwright.lifecycle.session.operator import operator_of
from rackwright.run import new_run_id
from rackwright.state.audit import Act, write_audit
from rackwright.state.control import read_control
from rackwright.state.formats import utc_now
from rackwright.state.lease import Lease
from rackwright.state.shell import Shell
from rackwright.state.store import ControlStore, FileStore


@contextmanager
def control_store(fleet: Fleet) -> Iterator[tuple[ControlStore, Shell]]:
    """Yield the store of the fleet's lease and journal, and a shell on the control host that keeps them.

    Raise LeasedError if that host's record names another control host.
    """
    from rackwright.remote import Remote

    host = fleet.control[0]
    with Remote((target(fleet, host),)) as remote:
        connection = remote.connection(host)
        refuse_moved(fleet, read_control(connection))
        yield FileStore(connection), connection


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
