"""Which operator runs this command, identified by the SSH key for the fleet's control hosts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rackwright.errors import HostError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import target
from rackwright.state.operator import Operator, fingerprint_of, operator

if TYPE_CHECKING:
    from rackwright.remote import Connection


def operator_of(fleet: Fleet, *connections: Connection) -> Operator:
    """Return the operator, identified by the key file in the fleet file, or else by the key of a connection."""
    key = target(fleet, fleet.control[0]).key
    fingerprint = fingerprint_of(key.with_name(f"{key.name}.pub")) if key else None
    for connection in connections:
        if fingerprint is None:
            with suppress(HostError):
                fingerprint = connection.login_key
    return operator(fingerprint, fleet.person_of(fingerprint) if fingerprint else None)
