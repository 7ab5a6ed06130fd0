"""Get the fleet's CA certificate back from the control hosts, which keep the files that were applied last."""

from __future__ import annotations

from rackwright.errors import RackwrightError
from rackwright.fleet.ca import ca_of
from rackwright.lifecycle.session.last_applied import last_applied
from rackwright.lifecycle.session.session import Session
from rackwright.state.applied_ca import applied_cas
from rackwright.values.text import enumerated


def fetch_ca(session: Session) -> str:
    """Write NAME.ca.crt as it was applied last, and return it (PEM). Raise RackwrightError if there is one here."""
    authority = ca_of(session.fleet)
    if authority.ca_pem:
        where = str(authority.certificate_file)
        raise RackwrightError("the file already exists", where=where, should="fetch never overwrites a file")
    applied = last_applied(session.remote, session.fleet)
    pem = "".join(applied_cas(applied)) if applied else ""
    if not pem:
        where, should = enumerated(session.fleet.control), "the first apply creates the fleet's CA"
        raise RackwrightError("no CA was applied yet", where=where, should=should, next="rackwright apply")
    authority.write(pem)
    return pem
