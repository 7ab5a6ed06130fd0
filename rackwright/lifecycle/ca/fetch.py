"""Get the fleet's CA certificate back from the control host, which keeps the files that were applied last."""

from __future__ import annotations

from rackwright.errors import RackwrightError
from rackwright.fleet.ca import ca_of
from rackwright.lifecycle.session.session import Session
from rackwright.state.applied import read_applied
from rackwright.state.applied_ca import applied_cas


def fetch_ca(session: Session) -> str:
    """Write NAME.ca.crt as it was applied last, and return it (PEM). Raise RackwrightError if there is one here."""
    authority, control = ca_of(session.fleet), session.fleet.control[0]
    if authority.ca_pem:
        where = str(authority.certificate_file)
        raise RackwrightError("the file already exists", where=where, should="fetch never overwrites a file")
    applied = read_applied(session.remote.connection(control))
    pem = "".join(applied_cas(applied)) if applied else ""
    if not pem:
        should = "the first apply creates the fleet's CA"
        raise RackwrightError("no CA was applied yet", where=control, should=should, next="rackwright apply")
    authority.write(pem)
    return pem
