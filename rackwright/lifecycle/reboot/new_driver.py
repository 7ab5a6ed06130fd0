"""The driver and the kernel of a host: installed as the session's lock has them, and which set is installed."""

from __future__ import annotations

from collections.abc import Callable

from rackwright.errors import HostsFailed
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import apply_leased
from rackwright.package_set import ROOT
from rackwright.run import Run
from rackwright.state.lease_session import LeaseSession
from rackwright.stopping import Stopping

_INSTALLED = f"cat {ROOT}/driver.installed 2>/dev/null || true"


def install_driver(
    session: Session, lease_session: LeaseSession, name: str, stopping: Stopping, ran: Callable[[Run], None]
) -> None:
    """Bring the host's driver and kernel to the session's lock; `ran` gets what was done. No reboot.

    Raise HostsFailed with the last lines of what failed: then the driver and the next boot are as before.
    """
    from rackwright.deploys.gpu import gpu

    run = apply_leased(session, lease_session, gpu, (name,), stopping=stopping)
    ran(run)
    if run.failed_hosts or run.interrupted:
        said = [f"{step.operation}: {'; '.join(step.output[-4:])}" for step in run.failures.steps]
        raise HostsFailed(
            "its driver could not be installed" if run.failed_hosts else "interrupted before its reboot",
            where=name,
            listed=[*said, *run.unreachable.values()],
        )


def installed_set(session: Session, name: str) -> str:
    """Return the name of the host's installed set of driver and kernel, "" if rackwright installed none.

    Raise HostError if the host can't be asked.
    """
    said = session.remote.connection(name).run(_INSTALLED).check("asking which driver is installed")
    return said.stdout.strip()[:64]
