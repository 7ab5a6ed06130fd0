"""Commands and files on hosts, over SSH or on this machine. The only package that uses paramiko."""

from rackwright.remote.completed import CommandTimeout, Completed
from rackwright.remote.connection import Connection, Counters
from rackwright.remote.hosts import Remote
from rackwright.remote.known_hosts import HostKey, pin
from rackwright.remote.trust import jump_target, scan

__all__ = [
    "CommandTimeout",
    "Completed",
    "Connection",
    "Counters",
    "HostKey",
    "Remote",
    "jump_target",
    "pin",
    "scan",
]
