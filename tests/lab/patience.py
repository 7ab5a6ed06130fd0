"""How long a gateway may continue to send requests to a hung engine, as in docs/states.md."""

from __future__ import annotations

from rackwright.lab.hosts import Lab

_LOAD = "awk -v n=$(nproc) '{ print $1 / n }' /proc/loadavg"


def until_out(lab: Lab, host: str) -> float:
    """Return the seconds: 30, and 30 more on a host whose load is about to be, or was, twice its cores."""
    return 30 if float(lab.exec(host, _LOAD).out) < 1 else 60
