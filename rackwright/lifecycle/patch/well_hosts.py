"""Ask a host whether it is well: units, file systems, packet filter, clock, driver, GPUs."""

from __future__ import annotations

from rackwright.lifecycle.session.session import Session
from rackwright.remote import read_answer
from rackwright.roles.patch.well import MOST_BYTES, SECONDS, Well, parse_well, script


def well(session: Session, host: str) -> Well:
    """Return what the host says about itself. Changes nothing.

    Raise HostError if it is unreachable, doesn't answer in time, or answers something that can't be read.
    """
    what = "asking whether the host is well"
    said = session.remote.connection(host).run("sh -s", stdin=script(), timeout=SECONDS, limit=MOST_BYTES)
    return read_answer(host, what, parse_well, said.check(what).stdout)
