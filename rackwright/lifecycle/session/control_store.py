"""Where lease, journal and documents are: in files of the only control host, or in the etcd of several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rackwright.fleet.fleet import Fleet
from rackwright.state.store import ControlStore, FileStore

if TYPE_CHECKING:
    from rackwright.remote import Remote


def store_of(fleet: Fleet, remote: Remote) -> ControlStore:
    """Return the store that the fleet's control hosts keep."""
    return store_on(remote, fleet.control, several=len(fleet.control_hosts) > 1)


def store_on(remote: Remote, hosts: Iterable[str], *, several: bool) -> ControlStore:
    """Return the store of these control hosts, which can be reached through any of them if there are several."""
    shells = tuple(remote.connection(name) for name in hosts)
    if not several:
        return FileStore(shells[0])
    from rackwright.state.etcd.etcd_store import EtcdStore

    return EtcdStore(shells)
