"""A clock that is right: certificates, logs and leases need it."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.network import Machine
from rackwright.values.text import Manage

CHRONY = "/etc/chrony/sources.d/rackwright.sources"
TIMESYNCD = "/etc/systemd/timesyncd.conf.d/60-rackwright.conf"


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves the clock to others."""
    servers: tuple[Machine, ...] = ()
    """Time servers of your network, asked before all others; those of the distribution when absent."""
