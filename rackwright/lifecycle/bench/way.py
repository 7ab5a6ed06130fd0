"""The way that a load takes: through a gateway like clients' requests, or to one replica's socket over SSH."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from rackwright.errors import ProofError, RackwrightError, UsageError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.keys_file import new_key
from rackwright.fleet.targets import target
from rackwright.lifecycle.client.request import Asker, FromController, Request, ask
from rackwright.lifecycle.session.remember import note_lent_key
from rackwright.lifecycle.session.replica_units import unit_of
from rackwright.lifecycle.session.session import Session
from rackwright.roles.replica.answer import MOST_BYTES
from rackwright.values.secrets import Secret

_PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class Way:
    said: str
    """Like "gateway gate1"."""
    base: str
    """URL that the tool asks."""
    probe: Callable[[str], str] = field(repr=False)
    """Send one request's body and return the answer's. Raise ProofError if none came."""
    key: Secret | None = None
    address: str = ""
    """Address of the gateway, used whatever its name resolves to here."""
    ca: str = ""
    """PEM of the CA to trust."""
    socket: Path | None = None


@contextmanager
def through_gateway(session: Session, asker: Asker, *, seconds: int) -> Iterator[Way]:
    """Yield a way for the block, with a temporary API key that is only in the gateways' memory and expires after
    `seconds`."""
    said, address = entrance(session)
    domain = session.fleet.file.gateway.domain
    key, sha256 = new_key("bench")

    def probe(body: str) -> str:
        (response,) = ask(asker, session.trusted, (Request(address, domain, _PATH, body, key),))
        if response.status != 200:
            words = " ".join(response.body.split())[:200] or response.problem
            raise _no_answer(said, f"HTTP {response.status} {words}")
        return response.body

    note_lent_key(session, "bench")
    with session.gateways.temporary_key(sha256, id="bench", seconds=seconds):
        yield Way(said, f"https://{domain}", probe, key, address, session.trusted)


def entrance(session: Session) -> tuple[str, str]:
    """Return where clients connect, in words, and its address: the virtual address, or the first gateway if none."""
    vip, gateway = session.fleet.file.gateway.vip, session.fleet.gateways[0]
    return (f"vip {vip}", str(vip)) if vip else (f"gateway {gateway}", str(session.fleet.service(gateway)))


def require_controller(asker: Asker) -> None:
    """Raise RackwrightError if the controller isn't in a network of clients, because it sends the load."""
    if isinstance(asker, FromController):
        return
    raise RackwrightError(
        f"the load would have to come from {asker.where}, but only the controller can send it",
        where="bench",
        should="the controller should be in a network that clients come from",
        next="add its network to firewall.clients_from, then rackwright apply; or name a replica with --replica",
    )


@contextmanager
def to_replica(session: Session, replica: Replica) -> Iterator[Way]:
    """Yield a way for the block: over SSH to the engine's own socket, without gateways and host proxy."""
    from rackwright.remote import forwarded

    said, socket = f"replica {replica.address}", unit_of(session, replica).socket
    connection = session.remote.connection(replica.host)
    words = f"curl -q -sS --noproxy '*' -m 120 --max-filesize {MOST_BYTES} --unix-socket {quote(socket)}"
    words += " -H 'Content-Type: application/json'"

    def probe(body: str) -> str:
        answer = connection.run(f"{words} --data @- http://engine{_PATH}", stdin=body, timeout=130)
        if not answer.ok:
            raise _no_answer(said, " ".join(answer.last_lines(1)))
        return answer.stdout

    with forwarded(target(session.fleet, replica.host), socket) as local:
        yield Way(said, "http://engine", probe, socket=local)


def _no_answer(said: str, words: str) -> ProofError:
    return ProofError(f"doesn't answer: {words}", where=said, next="rackwright status")


def prompt_tokens(answer: str, said: str) -> int:
    """Given a completion, return the engine's token count of its prompt. Raise ProofError if there is none."""
    try:
        return int(json.loads(answer)["usage"]["prompt_tokens"])
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        raise _no_answer(said, " ".join(answer.split())[:200] or "nothing") from None


def replica_named(session: Session, model: str, written: str) -> Replica:
    """Given HOST/MODEL@N, return that replica of the model. Raise UsageError if there is none."""
    replicas = session.fleet.replicas_of(model)
    for replica in replicas:
        if replica.address == written:
            return replica
    listed = ", ".join(replica.address for replica in replicas) or "none in service"
    raise UsageError(f"{model} has no such replica", where=f"--replica {written}", should=f"there are: {listed}")
