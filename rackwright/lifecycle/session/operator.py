"""Which operator runs this command, identified by the SSH key for the fleet's control hosts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rackwright.errors import HostError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.public_key import fingerprint_of_private
from rackwright.fleet.secrets import resolve
from rackwright.fleet.targets import target
from rackwright.state.operator import Operator, fingerprint_of, operator
from rackwright.values.tool_mode import in_tool_mode

if TYPE_CHECKING:
    from rackwright.remote import Connection


def operator_of(fleet: Fleet, *connections: Connection) -> Operator:
    """Return the operator, identified by the key file in the fleet file, or else by the key of a connection.

    In tool mode, it is the tool's key.
    """
    fingerprint = _of_tool(fleet) if in_tool_mode() else _of_file(fleet)
    for connection in connections:
        if fingerprint is None:
            with suppress(HostError):
                fingerprint = connection.login_key
    return operator(fingerprint, fleet.person_of(fingerprint) if fingerprint else None)


def _of_file(fleet: Fleet) -> str | None:
    key = target(fleet, fleet.control[0]).key
    return fingerprint_of(key.with_name(f"{key.name}.pub")) if key else None


def _of_tool(fleet: Fleet) -> str | None:
    # Its public key is nowhere but in the fleet file, which doesn't say which of the person's keys it is.
    reference = fleet.file.unattended.key
    if reference is None:
        return None
    return fingerprint_of_private(resolve(reference, where=f"{fleet.path} unattended.key", folder=fleet.path.parent))
