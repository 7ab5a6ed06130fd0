"""Ask a host whether it is well, and bring its services to the libraries that are installed."""

from __future__ import annotations

from rackwright.lifecycle.session.session import Session
from rackwright.remote import read_answer
from rackwright.roles.patch import replaced
from rackwright.roles.patch.replaced import Replaced, parse_replaced
from rackwright.roles.patch.well import MOST_BYTES, SECONDS, Well, parse_well, script


def well(session: Session, host: str) -> Well:
    """Return what the host says about itself. Changes nothing.

    Raise HostError if it is unreachable, doesn't answer in time, or answers something that can't be read.
    """
    what = "asking whether the host is well"
    said = session.remote.connection(host).run("sh -s", stdin=script(), timeout=SECONDS, limit=MOST_BYTES)
    return read_answer(host, what, parse_well, said.check(what).stdout)


def services_replaced(session: Session, host: str) -> Replaced:
    """Restart services that run on replaced libraries, those of rackwright, too: the host must be drained.

    Raise HostError if it can't be asked. Without needrestart, nothing is restarted.
    """
    what = "restarting services on replaced libraries"
    said = session.remote.connection(host).run("sh -s", stdin=replaced.script(), timeout=replaced.SECONDS)
    return read_answer(host, what, parse_replaced, said.check(what).stdout)
