"""Prove the service from the clients' side: it gives real answers, and only the intended ports are open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from rackwright.errors import HostError, ProofError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.keys_file import new_key
from rackwright.lifecycle.client.request import Asker, Request, Response, ask, certificate_end
from rackwright.lifecycle.expiry import CERTIFICATE_DAYS, days
from rackwright.lifecycle.proof.procedure import prove
from rackwright.lifecycle.session.remember import note_lent_key
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.verify.port_scan import Scan, scan
from rackwright.lifecycle.verify.proof_requests import Case, cases, unexpected
from rackwright.remote.answers import read_each
from rackwright.roles.backup.state import COMMAND as BACKUP_COMMAND
from rackwright.roles.backup.state import ages
from rackwright.roles.backup.state import parse as parse_backup
from rackwright.roles.replica.state import COMMAND as REPLICAS_COMMAND
from rackwright.roles.replica.state import ReplicaState
from rackwright.roles.replica.state import parse as parse_replicas
from rackwright.run import Outcome, Run
from rackwright.state.formats import utc_now
from rackwright.values.secrets import Secret

KEY_SECONDS = 600
_ANSWERS = "it can be asked, and gets the key of this run"
_SERVING = "its replicas are ready or busy"


@dataclass(frozen=True)
class Proof:
    """One thing that was tested, and whether it passed."""

    host: str
    what: str
    passed: bool
    found: str
    answer: bool = False
    """Whether it shows that clients get answers: tokens, or a refusal from a gateway without models."""


def verify(session: Session, asker: Asker, tell: Callable[[Proof], None]) -> tuple[Proof, ...]:
    """Return every proof; `tell` gets each one as soon as it is known.

    The API key exists only in the gateways' memory, for this run; their audit logs record it.
    """
    from rackwright.remote import Background

    scanning = Background(lambda: scan(session))
    # Started early: a packet filter drops these requests, so each takes seconds to time out.
    closed = {name: Background(partial(_closed, session, asker, name)) for name in session.fleet.gateways}
    silent = _silent(session)
    answering = tuple(name for name in session.fleet.gateways if name not in silent)
    proofs = [*_reported((Proof(name, _ANSWERS, False, why) for name, why in silent.items()), tell)]
    key, sha256 = new_key("verify")
    note_lent_key(session, "verify", answering)
    with session.gateways.only(answering).temporary_key(sha256, id="verify", seconds=KEY_SECONDS):
        proofs += _reported(_gateways(session, asker, answering, key), tell)
    rest = (*_serving(session), *_as_locked(session), *_as_described(session), *_backups(session))
    seen = (*(proof for name in answering for proof in closed[name].result()), *map(_scanned, scanning.result()))
    proofs += _reported((*seen, *rest), tell)
    return tuple(proofs)


def _reported(proofs: Iterable[Proof], tell: Callable[[Proof], None]) -> Iterator[Proof]:
    for proof in proofs:
        tell(proof)
        yield proof


def _silent(session: Session) -> dict[str, str]:
    """Return the gateways that can't get this run's key, and why. What the others do is proven anyway."""

    def ask(name: str) -> str | None:
        try:
            session.gateways.only((name,)).servers()
        except HostError as error:
            return error.problems[0].what.removeprefix(f"{name}: ")
        return None

    found = session.remote.each(session.fleet.gateways, ask)
    return {name: why for name, why in found.items() if why is not None}


def _gateways(session: Session, asker: Asker, gateways: tuple[str, ...], key: Secret) -> Iterator[Proof]:
    """Yield the proofs of each of these gateways and of the virtual address. All are asked at the same time."""
    from rackwright.remote import Background

    running = [Background(partial(_of_gateway, session, asker, gateway, key)) for gateway in gateways]
    if vip := session.fleet.file.gateway.vip:
        first, *_ = _cases(session, str(vip), key)
        running.append(Background(partial(_proofs, session, asker, "vip", (first,))))
    for proofs in running:
        yield from proofs.result()


def _of_gateway(session: Session, asker: Asker, gateway: str, key: Secret) -> tuple[Proof, ...]:
    asked = tuple(_cases(session, str(session.fleet.service(gateway)), key))
    return (*_proofs(session, asker, gateway, asked), _lasting(session, asker, gateway))


def _proofs(session: Session, asker: Asker, gateway: str, asked: tuple[Case, ...]) -> tuple[Proof, ...]:
    responses = ask(asker, session.trusted, tuple(case.request for case in asked))
    judged = ((case, *case.judge(response)) for case, response in zip(asked, responses, strict=True))
    return tuple(Proof(gateway, case.what, passed, found, case.answer) for case, passed, found in judged)


def _lasting(session: Session, asker: Asker, gateway: str) -> Proof:
    """Prove that the gateway's certificate doesn't expire soon."""
    request = Request(str(session.fleet.service(gateway)), session.fleet.file.gateway.domain)
    ends, now = certificate_end(asker, session.trusted, request), utc_now()
    what = f"its certificate is valid for at least {CERTIFICATE_DAYS} days"
    if ends is None:
        return Proof(gateway, what, False, "it has no certificate that this fleet trusts")
    passed = ends - now >= timedelta(days=CERTIFICATE_DAYS)
    return Proof(gateway, what, passed, f"until {ends:%Y-%m-%d}, {days(ends - now)}")


def _cases(session: Session, address: str, key: Secret) -> Iterator[Case]:
    domain, names = session.fleet.file.gateway.domain, tuple(_names(session))
    for name in names:
        yield from cases(session, address, name, key)
    wrong, _ = new_key("verify")
    yield Case("a wrong key is refused", Request(address, domain, key=wrong), _refused, answer=not names)
    plain = Request(address, domain, scheme="http", seconds=10)
    yield Case("plain HTTP is refused", plain, _no_http)


def _closed(session: Session, asker: Asker, gateway: str) -> tuple[Proof, ...]:
    address, domain = str(session.fleet.service(gateway)), session.fleet.file.gateway.domain
    request = Request(address, domain, scheme="http", port=80, seconds=3)
    return _proofs(session, asker, gateway, (Case("port 80 is closed", request, _no_http),))


def _names(session: Session) -> Iterator[str]:
    """Yield every name that clients may ask for. A model has none if all its hosts are out of service."""
    for name, model in session.fleet.file.models.items():
        if session.fleet.replicas_of(name):
            yield from model.served


def _refused(response: Response) -> tuple[bool, str]:
    return response.status == 401, unexpected(response) if response.status != 401 else "401"


def _no_http(response: Response) -> tuple[bool, str]:
    refused = response.status >= 400 or response.unheard
    return refused, f"HTTP {response.status}" if response.status else response.problem or "no connection"


def _scanned(found: Scan) -> Proof:
    seen = ", ".join(map(str, found.open)) or "none"
    what = f"{found.address} opens to {found.by} only what the fleet file says"
    if found.problem:
        return Proof(found.host, what, passed=False, found=found.problem)
    if found.surplus:
        return Proof(found.host, what, passed=False, found=f"also open: {', '.join(found.surplus)}")
    return Proof(found.host, what, passed=True, found=f"{seen} open of {found.tried} ports tried")


def _serving(session: Session) -> Iterator[Proof]:
    """Prove that each host's replicas serve, according to their probes."""
    placed = {name: [probe.replica for probe in spec.probes] for name, spec in session.hosts.items() if spec.probes}
    answers = session.remote.run_on(placed, REPLICAS_COMMAND)
    for name, states in read_each(answers, "reading the state of its replicas", parse_replicas).items():
        if isinstance(states, HostError):
            yield Proof(name, _SERVING, passed=False, found=states.problems[0].what)
        else:
            yield Proof(name, _SERVING, *_all_serve(placed[name], states))


def _all_serve(names: Iterable[str], states: Iterable[ReplicaState]) -> tuple[bool, str]:
    found = {state.replica: state for state in states}
    passed = all(name in found and found[name].serves for name in names)
    return passed, "; ".join(f"{name} {found[name].said if name in found else 'not installed'}" for name in names)


def _as_locked(session: Session) -> Iterator[Proof]:
    """Prove each replica on its hosts. Records no answer."""

    def prove_all(host: str) -> list[Proof]:
        return [_proven(session, replica) for replica in session.fleet.replicas_on(host)]

    hosts = [name for name in session.hosts if session.fleet.replicas_on(name)]
    for proofs in session.remote.each(hosts, prove_all).values():
        yield from proofs


def _proven(session: Session, replica: Replica) -> Proof:
    remarks: list[str] = []
    try:
        reason = prove(session, replica, say=remarks.append)
    except (HostError, ProofError) as error:
        reason = error.problems[0].what
    what = f"{replica.name} runs what the lock says and answers as recorded"
    return Proof(replica.host, what, passed=reason is None, found=reason or "; ".join(remarks) or "proven")


def _backups(session: Session) -> Iterator[Proof]:
    """Prove each host's backups from its own state. Asks no repository."""
    saved = {name: spec.backup for name, spec in session.hosts.items() if spec.backup}
    answers = session.remote.run_on(saved, BACKUP_COMMAND)
    for name, found in read_each(answers, "reading the state of its backups", parse_backup).items():
        for repository in saved[name].saving:
            what = f"it is backed up to {repository.name}"
            if isinstance(found, HostError):
                yield Proof(name, what, passed=False, found=found.problems[0].what)
                continue
            state = found.of(repository)
            said = "; ".join(state.alarms) or ages(state.snapshot_age, state.check_age)
            yield Proof(name, what, passed=not state.alarms, found=said)


def _as_described(session: Session) -> Iterator[Proof]:
    """Prove that each host matches its baseline: nothing would change, and no other setting contradicts it."""
    run = session.runner.plan(_baseline, session.hosts)
    for host in session.hosts:
        yield Proof(host, "matches its baseline", *_judged(run, host))


def _judged(run: Run, host: str) -> tuple[bool, str]:
    if host in run.failed_hosts:
        return False, run.unreachable.get(host, "could not be checked")
    steps = [step for step in run.of(host) if step.outcome is Outcome.WOULD_CHANGE]
    against = [f"{step.role}: would change: {step.operation}" for step in steps]
    against += [f"{step.role}: {step.note}".replace("\n", "; ") for step in run.notes if step.host == host]
    return not against, "; ".join(against) or "nothing would change"


def _baseline() -> None:
    # Imported after the hosts were asked, because it imports pyinfra.
    from rackwright.deploys.baseline import baseline, entry

    entry()
    baseline()
