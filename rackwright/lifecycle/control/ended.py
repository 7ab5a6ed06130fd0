"""Members of etcd whose certificates have ended: when more than half of them do, nobody can take the lease."""

from __future__ import annotations

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.desired import desired
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import compared, refuse_stale_checkout
from rackwright.lifecycle.session.session import Session
from rackwright.roles.certificate.settings import FOLDER as CERTIFICATES
from rackwright.roles.etcd.settings import CERTIFICATE, CREDENTIALS
from rackwright.values.text import enumerated

_ROLE = "certificate"
_ASKING = "asking when the certificate of etcd ends"
# The certificate that the running member has had since its start; if it doesn't run, the one for its next start.
COMMAND = f"""
file={CREDENTIALS}/{CERTIFICATE}.crt
[ -f "$file" ] || file={CERTIFICATES}/{CERTIFICATE}.crt
[ ! -f "$file" ] || openssl x509 -in "$file" -noout -checkend 0 >/dev/null || echo ended
"""


def renew_ended(session: Session, console: Console, *, not_stale: bool, unattended: Agreements | None) -> None:
    """Renew the certificates of etcd that have ended, and restart these members, if too few others can work together.

    It needs no lease: nobody can take one, and members keep the lease and their data during a restart. Raise
    LeasedError if this checkout is or could be older than what was applied last, RackwrightError if the operator
    doesn't agree, if the run is unattended or if a certificate can't be issued, HostError if a member doesn't work in
    time.
    """
    everyone = session.fleet.control_hosts
    if len(everyone) == 1 or (len(everyone) - len(ended := _ended(session))) * 2 > len(everyone):
        return
    found = compared(session)
    refuse_stale_checkout(found, console, not_stale=not_stale, unattended=unattended)
    _agree(enumerated(ended), console, unattended)
    _renew(session, ended)
    from rackwright.lifecycle.control.membership import Membership

    Membership(session.fleet, session.remote).restart_together(ended)


def _agree(names: str, console: Console, unattended: Agreements | None) -> None:
    why = f"certificates of etcd on {names} have ended, so nobody can take the lease"
    if unattended:
        should = "a person should agree to renew them without one"
        unattended.require((), RackwrightError(f"the {why}", should=should), console)
    console.say(f"The {why}.")
    console.confirm(f"Renew them without a lease, and restart etcd on {names}?")


def _ended(session: Session) -> tuple[str, ...]:
    """Return the control hosts whose member can't be reached with the certificate that it has."""
    found = session.remote.run_on(session.fleet.control, COMMAND)
    return tuple(
        name
        for name, answer in found.items()
        if not isinstance(answer, HostError) and answer.check(_ASKING).stdout.strip() == "ended"
    )


def _renew(session: Session, hosts: tuple[str, ...]) -> None:
    from rackwright.deploys.control import control

    # The command may be limited to other hosts.
    specs = desired(session.fleet, session.lock)
    run = session.runner.apply(control, {name: specs[name] for name in hosts}, only=(_ROLE,))
    if failed := run.failed_hosts:
        raise RackwrightError(
            "the certificate of etcd can't be renewed",
            where=", ".join(failed),
            listed=[
                *(f"{host}: {why}" for host, why in run.unreachable.items()),
                *(f"{step.host}: {step.operation}: {' '.join(step.output)}" for step in run.failures.steps),
            ],
            should="the CA should be able to issue certificates here, and the hosts should take them",
            next="rackwright check",
        )
