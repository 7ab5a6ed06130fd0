"""Take replicas out of the gateways manually, and let them back in. Only an operator undrains what one drained."""

from __future__ import annotations

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import audited
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import leased


def drain(
    session: Session, replicas: tuple[Replica, ...], console: Console, *, reason: str, allow_outage: bool = False
) -> None:
    """Stop all gateways from sending new requests to the replicas, even after a reload; requests in flight finish.

    Raise RackwrightError if a model would be left without a healthy replica, unless `allow_outage`.
    """
    names = ", ".join(replica.address for replica in replicas)
    act = f"drain {names}"
    with leased(session, act, console) as lease_session:
        # Checked under the lease: without it, another drain could take the replica that this one leaves.
        _refuse_outage(session, replicas, allow_outage=allow_outage)
        with audited(session, lease_session, session.fleet.gateways, f"{act}: {reason}"):
            for replica in replicas:
                lease_session.check()
                session.gateways.drain(replica.address, who=session.operator.who, reason=reason)
                in_flight = session.gateways.in_flight(replica.address)
                console.say(f"{replica.address}: drained, {in_flight} requests still in flight")


def undrain(session: Session, replicas: tuple[Replica, ...], console: Console) -> None:
    """Let every gateway send requests to the replicas again."""
    names = ", ".join(replica.address for replica in replicas)
    act = f"undrain {names}"
    with leased(session, act, console) as lease_session, audited(session, lease_session, session.fleet.gateways, act):
        for replica in replicas:
            lease_session.check()
            session.gateways.undrain(replica.address)
            console.say(f"{replica.address}: undrained")


def _refuse_outage(session: Session, replicas: tuple[Replica, ...], *, allow_outage: bool) -> None:
    taken = {replica.address for replica in replicas}
    states = session.gateways.servers().values()
    for model in dict.fromkeys(replica.model for replica in replicas):
        healthy = {state.address for state in states if state.model == model and state.takes_requests}
        if healthy & taken and not healthy - taken and not allow_outage:
            raise RackwrightError(
                f"{model} would be left without a healthy replica",
                where="drain",
                should="leave one healthy, or allow planned downtime",
                next="the same command with --allow-outage",
            )
