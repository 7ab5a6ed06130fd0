"""Prove a replica through every gateway, with real requests, even while it is drained."""

from __future__ import annotations

from functools import partial

from rackwright.errors import ProofError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.hosts.gateway import server_of
from rackwright.fleet.keys_file import new_key
from rackwright.lifecycle.client.request import FromHost, Response, ask
from rackwright.lifecycle.session.remember import note_lent_key
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.verify.proof_requests import Case, cases, unexpected
from rackwright.values.secrets import Secret

_KEY_SECONDS = 300
"""Longer than two requests, which take two minutes each at most."""
_UNAVAILABLE = (0, 502, 503, 504)
"""No answer, or a proxy's own error because the engine didn't answer: a retry may succeed."""


def through_gateways(session: Session, replica: Replica) -> str | None:
    """Return None if the replica has answered real requests through every gateway, else why not yet.

    Each gateway host sends the requests to itself, with an API key that exists only in the gateways' memory and that
    they route to this replica, even while it is drained. Raise ProofError if an answer is wrong and waiting doesn't
    help, HostError if a gateway can't be asked.
    """
    if not session.fleet.gateways:
        return None
    state = session.gateways.servers().get(replica.address)
    if state is None or not state.up:
        return "it isn't up at the gateways"
    key, sha256 = new_key("proof")
    server = server_of(session.fleet, session.lock, replica).name
    note_lent_key(session, "proof")
    with session.gateways.temporary_key(sha256, id="proof", seconds=_KEY_SECONDS, server=server):
        reasons = session.remote.each(session.fleet.gateways, partial(_through, session, replica, key))
    return "; ".join(f"{gateway}: {reason}" for gateway, reason in reasons.items() if reason) or None


def _through(session: Session, replica: Replica, key: Secret, gateway: str) -> str | None:
    address, name = str(session.fleet.service(gateway)), session.fleet.file.models[replica.model].names[0]
    asked, asker = cases(session, address, name, key), FromHost(session, gateway)
    for case, response in zip(asked, ask(asker, session.trusted, tuple(case.request for case in asked)), strict=True):
        passed, found = case.judge(response)
        if response.replica != replica.address or response.status in _UNAVAILABLE:
            return _not_yet(case, response)
        if not passed:
            raise ProofError(f"{gateway}: {case.what}: {found}", where=replica.address)
    return None


def _not_yet(case: Case, response: Response) -> str:
    if response.status != 200:
        return f"{case.what}: {unexpected(response)}"
    if response.replica:
        return f"{case.what}: {response.replica} answered instead"
    return f"{case.what}: the gateway doesn't report which replica answered: run rackwright apply"
