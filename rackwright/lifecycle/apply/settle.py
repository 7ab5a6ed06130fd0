"""Wait until engines that were started answer, and the gateways send them requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from rackwright.errors import HostError, ProofError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.gateway import Gateways
from rackwright.lifecycle.proof.procedure import prove
from rackwright.lifecycle.rollout.steps import UNDRAIN_SECONDS
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.remote import Remote, read_each
from rackwright.roles.replica.state import COMMAND as REPLICAS_COMMAND
from rackwright.roles.replica.state import ReplicaState
from rackwright.roles.replica.state import parse as parse_replicas
from rackwright.state.lease_session import LeaseSession
from rackwright.stopping import Stopping


def settle(
    session: Session,
    lease_session: LeaseSession,
    gateways: Gateways,
    console: Console,
    replicas: Sequence[Replica],
    stopping: Stopping,
    undrained: Callable[[str], None] = lambda _: None,
) -> None:
    """Return when each of these replicas is proven at its socket and all of these gateways send it requests.

    Replicas that were drained manually only need to be proven. Those that an earlier run left drained are undrained,
    and `undrained` is called for each. This run records the first answer of its kind.
    Raise ProofError naming all that aren't ready in time, RackwrightError naming those left when `stopping` ends
    the wait, LeasedError if one would be undrained and the lease is lost.
    """
    waiting = {replica.address: replica for replica in replicas}
    proven: set[str] = set()
    longest = session.fleet.file.rollout.start_timeout
    deadline = time.monotonic() + longest
    while reasons := _unsettled(session, lease_session, gateways, console, waiting, proven, undrained):
        if stopping():
            waited = ", ".join(reasons)
            raise RackwrightError(f"interrupted; not ready yet: {waited}", next="rackwright status")
        if time.monotonic() > deadline:
            reasons |= probe_reports(session.remote, waiting.values())
            raise ProofError(
                "not ready",
                should=f"every engine should be ready within {longest} s",
                next=f"rackwright logs {next(iter(reasons))}",
                listed=(f"{address}: {reason}" for address, reason in reasons.items()),
            )
        time.sleep(0.5)


def _unsettled(
    session: Session,
    lease_session: LeaseSession,
    gateways: Gateways,
    console: Console,
    waiting: dict[str, Replica],
    proven: set[str],
    undrained: Callable[[str], None],
) -> dict[str, str]:
    """Return why each replica isn't ready, without those that are; add those that answer now to `proven`."""
    unproven = [address for address in waiting if address not in proven]
    proofs = session.remote.each(unproven, lambda address: prove(session, waiting[address], run=lease_session.run))
    reasons = {address: reason for address, reason in proofs.items() if reason is not None}
    proven |= set(unproven) - set(reasons)
    states = gateways.servers()
    for address in [address for address in waiting if address in proven and address in states]:
        if states[address].drained and not states[address].drained_manually:
            lease_session.check()
            gateways.undrain(address)
            undrained(address)
            console.say(f"{address}: answers; undrained, because the run that drained it ended before doing so")
    served = {address for address, state in states.items() if state.takes_requests or state.drained_manually}
    served |= set() if gateways.hosts else proven
    for address in [address for address in waiting if address in proven & served]:
        console.say(f"{address}: answers")
        del waiting[address]
    return {address: reasons.get(address, "not every gateway sends requests to it yet") for address in waiting}


def probe_reports(remote: Remote, replicas: Iterable[Replica]) -> dict[str, str]:
    """Return what the probes report about the replicas that don't serve, by address."""
    return {address: state.said for address, state in _probed(remote, replicas).items() if not state.serves}


def await_gateways(
    remote: Remote, gateways: Gateways, console: Console, replicas: Sequence[Replica], stopping: Stopping
) -> set[str]:
    """Return the addresses of these replicas that every gateway sends requests to.

    First wait, for UNDRAIN_SECONDS at most, until the gateways see the replicas that are healthy to their own probes:
    after a change of a gateway or host proxy, that takes some seconds.
    """
    well = {address for address, state in _probed(remote, replicas).items() if state.serves}
    deadline = time.monotonic() + UNDRAIN_SECONDS
    named: set[str] = set()
    while True:
        states = gateways.servers()
        taking = {one.address for one in replicas if one.address in states and states[one.address].takes_requests}
        lost = {address for address in well - taking if address in states and not states[address].drained}
        if not lost or stopping() or time.monotonic() > deadline:
            return taking
        for address in sorted(lost - named):
            console.say(f"{address}: ready, but a gateway doesn't see it yet: waiting up to {UNDRAIN_SECONDS} s")
        named |= lost
        time.sleep(0.5)


def _probed(remote: Remote, replicas: Iterable[Replica]) -> dict[str, ReplicaState]:
    """Return the state of each replica on its first host, by address, without those whose host is unreachable."""
    asked = remote.run_on(tuple({replica.host for replica in replicas}), REPLICAS_COMMAND)
    states = {
        f"{host}/{state.replica}": state
        for host, found in read_each(asked, "looking at the replicas", parse_replicas).items()
        if not isinstance(found, HostError)
        for state in found
    }
    return {replica.address: states[replica.address] for replica in replicas if replica.address in states}
