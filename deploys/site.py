"""One host, whole: what `rackwright plan` shows, and `pyinfra inventory/example.py deploys/site.py`."""

from __future__ import annotations

from rackwright.deploys.backup import backup
from rackwright.deploys.baseline import baseline, entry
from rackwright.deploys.confirm import confirm
from rackwright.deploys.gateway import gateway
from rackwright.deploys.gpu import gpu
from rackwright.deploys.retire import retire
from rackwright.deploys.serve import serve


def site() -> None:
    """Afterwards the host is what its model says.

    `rackwright apply` makes the same changes in several runs: it confirms packet filter and sshd over a connection
    made after them, and retires engines when all gateways have let go of them.
    """
    entry()
    confirm()
    baseline()
    gpu()
    service()
    retire()


def service() -> None:
    """Afterwards engines and gateways of the host run, and it saves itself."""
    serve()
    gateway()
    backup()


def publish() -> None:
    """Afterwards who tells of what is served, or saves it, goes by the host's model; engines are left alone."""
    gateway()
    backup()


# pyinfra executes this file without a module name; imported, it only defines.
if __name__ == "builtins":
    site()
