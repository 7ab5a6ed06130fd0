"""Commands and files on hosts, over SSH or on this machine. The only package that uses paramiko."""

from rackwright.remote.answers import UnreadableAnswer, read_answer, read_each
from rackwright.remote.background import Background, import_gently
from rackwright.remote.completed import CommandTimeout, Completed, checked
from rackwright.remote.connection import Connection, Counters
from rackwright.remote.forward import forwarded
from rackwright.remote.hosts import Remote
from rackwright.remote.jumps import jump_target
from rackwright.remote.known_hosts import HostKey, pin
from rackwright.remote.trust import scan

__all__ = [
    "Background",
    "CommandTimeout",
    "Completed",
    "Connection",
    "Counters",
    "HostKey",
    "Remote",
    "UnreadableAnswer",
    "checked",
    "forwarded",
    "import_gently",
    "jump_target",
    "pin",
    "read_answer",
    "read_each",
    "scan",
]
