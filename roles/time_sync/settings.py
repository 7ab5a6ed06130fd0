"""A correct clock, which certificates, logs and leases need."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.network import Machine
from rackwright.values.text import Manage

CHRONY = "/etc/chrony/sources.d/rackwright.sources"
TIMESYNCD = "/etc/systemd/timesyncd.conf.d/60-rackwright.conf"


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves the clock to other tools."""
    servers: tuple[Machine, ...] = ()
    """Time servers of your network, preferred over all others; the distribution's when absent."""
