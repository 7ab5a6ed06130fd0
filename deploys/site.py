"""The complete setup of one host, as in `rackwright plan` and `pyinfra inventory/example.py deploys/site.py`."""

from __future__ import annotations

from rackwright.deploys.backup import backup
from rackwright.deploys.baseline import baseline, entry
from rackwright.deploys.confirm import confirm
from rackwright.deploys.control import control
from rackwright.deploys.gateway import gateway
from rackwright.deploys.gpu import gpu
from rackwright.deploys.retire import retire
from rackwright.deploys.serve import serve
from rackwright.deploys.tool import tool


def site() -> None:
    """Set up the host as its spec says.

    `rackwright apply` makes the same changes in several runs: it confirms packet filter and sshd over a connection
    that is made after the change, and retires engines when no gateway uses them any more.
    """
    entry()
    confirm()
    baseline()
    control()
    gpu()
    service()
    retire()


def service() -> None:
    """Ensure that the host's engines, gateway and backups run, and that it has the tool that belongs there."""
    serve()
    gateway()
    backup()
    tool()


def publish() -> None:
    """Update gateway and backups to the host's spec; engines are left alone."""
    gateway()
    backup()


# pyinfra executes this file without a module name; an import only defines functions.
if __name__ == "builtins":
    site()
