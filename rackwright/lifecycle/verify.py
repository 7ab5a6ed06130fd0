"""Prove the service from where clients stand: real answers, and that what must be closed is closed."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.keys import new_key
from rackwright.lifecycle.asking import Asker, FromController, FromHost, Request, Response, ask, certificate_end
from rackwright.lifecycle.ending import CERTIFICATE_DAYS, days
from rackwright.lifecycle.remember import note_lent_key
from rackwright.lifecycle.scan import Scan, scan
from rackwright.lifecycle.site import Site
from rackwright.roles.backup.state import COMMAND as BACKUP_COMMAND
from rackwright.roles.backup.state import ages
from rackwright.roles.backup.state import parse as parse_backup
from rackwright.roles.replica.state import COMMAND as REPLICAS_COMMAND
from rackwright.roles.replica.state import ReplicaState
from rackwright.roles.replica.state import parse as parse_replicas
from rackwright.run import Outcome, Run
from rackwright.state.formats import utc_now
from rackwright.values import Secret

KEY_SECONDS = 600
QUESTION = "Name three colors."
_SERVING = "its replicas are ready or busy"


@dataclass(frozen=True)
class Proof:
    """One thing shown, or not."""

    host: str
    what: str
    passed: bool
    found: str


@dataclass(frozen=True)
class _Case:
    what: str
    request: Request
    judge: Callable[[Response], tuple[bool, str]]


def verify(site: Site, asker: Asker, tell: Callable[[Proof], None]) -> tuple[Proof, ...]:
    """Return every proof, told as each comes.

    The key it uses lives in the gateways' memory, for this run only; their audit logs tell of it.
    """
    from rackwright.remote import Begun

    scanning = Begun(lambda: scan(site))
    key, sha256 = new_key("verify")
    note_lent_key(site, "verify")
    with site.gateways.temporary_key(sha256, id="verify", seconds=KEY_SECONDS):
        proofs = [*_told(_gateways(site, asker, key), tell)]
    proofs += _told((*map(_scanned, scanning.result()), *_serving(site), *_as_described(site), *_backups(site)), tell)
    return tuple(proofs)


def _told(proofs: Iterable[Proof], tell: Callable[[Proof], None]) -> Iterator[Proof]:
    for proof in proofs:
        tell(proof)
        yield proof


def choose_asker(site: Site) -> Asker:
    """Return the controller if clients may stand there, else a host of the fleet that is no gateway."""
    gateway = site.fleet.gateways[0]
    if site.fleet.is_local(gateway):
        return FromController("this machine itself, which its packet filter lets through")
    own = _own_address(str(site.fleet.service(gateway)))
    if own and any(ip_address(own) in network for network in site.fleet.file.firewall.clients_from):
        return FromController()
    others = _no_gateways(site)
    if not others:
        raise RackwrightError(
            f"the controller ({own or 'no route'}) is not in clients_from, and every host is a gateway",
            where="verify",
            should="a client's place to ask from",
            next="add the controller's network to firewall.clients_from, then rackwright apply",
        )
    return FromHost(site, others[0], "the controller is not in clients_from")


def _no_gateways(site: Site) -> list[str]:
    return [name for name in site.fleet.hosts if name not in site.fleet.gateways and name in site.models]


def _own_address(towards: str) -> str | None:
    """Which address the controller would use: connecting a datagram socket asks the routes and sends nothing."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, 443))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _gateways(site: Site, asker: Asker, key: Secret) -> Iterator[Proof]:
    for gateway in site.fleet.gateways:
        yield from _proofs(site, asker, gateway, tuple(_cases(site, str(site.fleet.service(gateway)), key)))
        yield _lasting(site, asker, gateway)
    if vip := site.fleet.file.gateway.vip:
        yield from _proofs(site, asker, "vip", (_completion(site, str(vip), next(iter(_names(site))), key),))


def _proofs(site: Site, asker: Asker, gateway: str, cases: tuple[_Case, ...]) -> Iterator[Proof]:
    responses = ask(asker, site.trusted, tuple(case.request for case in cases))
    for case, response in zip(cases, responses, strict=True):
        passed, found = case.judge(response)
        yield Proof(gateway, case.what, passed, found)


def _lasting(site: Site, asker: Asker, gateway: str) -> Proof:
    """The certificate that clients are shown lasts for a while yet."""
    request = Request(str(site.fleet.service(gateway)), site.fleet.file.gateway.domain)
    ends, now = certificate_end(asker, site.trusted, request), utc_now()
    what = f"its certificate lasts {CERTIFICATE_DAYS} days and more"
    if ends is None:
        return Proof(gateway, what, False, "none was shown that this fleet trusts")
    passed = ends - now >= timedelta(days=CERTIFICATE_DAYS)
    return Proof(gateway, what, passed, f"until {ends:%Y-%m-%d}, {days(ends - now)}")


def _cases(site: Site, address: str, key: Secret) -> Iterator[_Case]:
    domain = site.fleet.file.gateway.domain
    for name in _names(site):
        yield _completion(site, address, name, key)
        stream = Request(address, domain, "/v1/chat/completions", _body(name, stream=True), key)
        yield _Case(f"{name}: a stream", stream, _streamed)
    wrong, _ = new_key("verify")
    yield _Case("a wrong key is refused", Request(address, domain, key=wrong), _refused)
    plain = Request(address, domain, scheme="http", seconds=10)
    yield _Case("plain HTTP is refused", plain, _no_http)
    yield _Case("port 80 is closed", Request(address, domain, scheme="http", port=80, seconds=3), _no_http)


def _names(site: Site) -> Iterator[str]:
    """Yield every name that clients may ask for."""
    for model in site.fleet.file.models.values():
        yield from model.served


def _completion(site: Site, address: str, name: str, key: Secret) -> _Case:
    request = Request(address, site.fleet.file.gateway.domain, "/v1/chat/completions", _body(name), key)
    return _Case(f"{name}: a completion", request, _answered)


def _body(name: str, *, stream: bool = False) -> str:
    message = {"role": "user", "content": QUESTION}
    return json.dumps({"model": name, "messages": [message], "max_tokens": 32, "temperature": 0, "stream": stream})


def _answered(response: Response) -> tuple[bool, str]:
    text = " ".join(response.text.split())
    if response.status == 200 and text:
        return True, f"{text[:60]!r} in {response.seconds:.2f} s"
    return False, _unexpected(response)


def _streamed(response: Response) -> tuple[bool, str]:
    if response.status == 200 and response.text and response.whole_stream:
        return True, f"{response.body.count('data: {')} chunks in {response.seconds:.2f} s"
    return False, _unexpected(response)


def _refused(response: Response) -> tuple[bool, str]:
    return response.status == 401, _unexpected(response) if response.status != 401 else "401"


def _no_http(response: Response) -> tuple[bool, str]:
    refused = response.status >= 400 or response.unheard
    return refused, f"HTTP {response.status}" if response.status else response.problem or "no connection"


def _unexpected(response: Response) -> str:
    return f"HTTP {response.status} {response.problem} {' '.join(response.body.split())[:200]}".strip()


def _scanned(found: Scan) -> Proof:
    seen = ", ".join(map(str, found.open)) or "nothing"
    what = f"{found.address} opens to {found.by} only what the fleet file says"
    if found.surplus:
        return Proof(found.host, what, passed=False, found=f"open too: {', '.join(found.surplus)}")
    return Proof(found.host, what, passed=True, found=f"{seen}, of {found.tried} ports tried")


def _serving(site: Site) -> Iterator[Proof]:
    """Each host's replicas, as their probes find them."""
    placed = {name: [probe.replica for probe in model.probes] for name, model in site.models.items() if model.probes}
    for name, answer in site.remote.run_on(placed, REPLICAS_COMMAND).items():
        if isinstance(answer, HostError):
            yield Proof(name, _SERVING, passed=False, found=answer.problems[0].what)
        else:
            yield Proof(name, _SERVING, *_all_serve(placed[name], parse_replicas(answer.stdout)))


def _all_serve(names: Iterable[str], states: Iterable[ReplicaState]) -> tuple[bool, str]:
    found = {state.replica: state for state in states}
    passed = all(name in found and found[name].serves for name in names)
    return passed, "; ".join(f"{name} {found[name].said if name in found else 'not installed'}" for name in names)


def _backups(site: Site) -> Iterator[Proof]:
    """Each host's backups, by what it remembers of them: no repository is asked."""
    saved = {name: model.backup for name, model in site.models.items() if model.backup}
    for name, answer in site.remote.run_on(saved, BACKUP_COMMAND).items():
        for repository in saved[name].repositories:
            what = f"it is saved to {repository.name}"
            if isinstance(answer, HostError):
                yield Proof(name, what, passed=False, found=answer.problems[0].what)
                continue
            state = parse_backup(answer.stdout).of(repository)
            said = "; ".join(state.alarms) or ages(state.snapshot_age, state.check_age)
            yield Proof(name, what, passed=not state.alarms, found=said)


def _as_described(site: Site) -> Iterator[Proof]:
    """Each host is what its baseline says: nothing would change, and nothing stands against it."""
    run = site.engine.plan(_baseline, site.models)
    for host in site.models:
        yield Proof(host, "is as its baseline says", *_judged(run, host))


def _judged(run: Run, host: str) -> tuple[bool, str]:
    if host in run.failed_hosts:
        return False, run.unreachable.get(host, "could not be looked at")
    told = [step for step in run.of(host) if step.outcome is Outcome.WOULD_CHANGE]
    against = [f"{step.role}: would change: {step.operation}" for step in told]
    against += [f"{step.role}: {step.note}".replace("\n", "; ") for step in run.notes if step.host == host]
    return not against, "; ".join(against) or "nothing would change"


def _baseline() -> None:
    # Imported when the hosts have been asked already: it brings pyinfra.
    from rackwright.deploys.baseline import baseline, entry

    entry()
    baseline()
