"""One host, whole: what `rackwright apply` does, and `pyinfra inventory/example.py deploys/site.py`."""

from __future__ import annotations

from rackwright.deploys.baseline import baseline
from rackwright.deploys.gateway import gateway
from rackwright.deploys.serve import serve


def site() -> None:
    """Afterwards the host is what its model says; new packet filter rules still wait for `confirm`."""
    baseline()
    service()


def service() -> None:
    """Afterwards engines and gateways of the host run."""
    serve()
    gateway()


# pyinfra executes this file without a module name; imported, it only defines.
if __name__ == "builtins":
    site()
