"""Prove the service from where clients stand: real answers, and that what must be closed is closed."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address

from rackwright.errors import RackwrightError
from rackwright.fleet.keys import new_key
from rackwright.lifecycle.asking import Asker, FromController, Request, Response, ask, certificate_end, closed_ports
from rackwright.lifecycle.ending import CERTIFICATE_DAYS, days
from rackwright.lifecycle.site import Site
from rackwright.run import Outcome, Run
from rackwright.state.formats import utc_now
from rackwright.values import Secret

KEY_SECONDS = 600
QUESTION = "Name three colors."


@dataclass(frozen=True)
class Proof:
    """One thing shown, or not."""

    gateway: str
    what: str
    passed: bool
    found: str


@dataclass(frozen=True)
class _Case:
    what: str
    request: Request
    judge: Callable[[Response], tuple[bool, str]]


def verify(site: Site, asker: Asker, tell: Callable[[Proof], None]) -> tuple[Proof, ...]:
    """Return every proof, told as each comes. The key it uses lives in the gateways' memory, for this run only."""
    key, sha256 = new_key("verify")
    proofs: list[Proof] = []
    with site.gateways.temporary_key(sha256, id="verify", seconds=KEY_SECONDS):
        for gateway in site.fleet.gateways:
            for proof in _gateway(site, asker, gateway, key):
                tell(proof)
                proofs.append(proof)
    for proof in (*_closed(site, asker), *_as_described(site)):
        tell(proof)
        proofs.append(proof)
    return tuple(proofs)


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
    return FromHost(site, others[0])


def _no_gateways(site: Site) -> list[str]:
    return [name for name in site.fleet.hosts if name not in site.fleet.gateways and name in site.models]


@dataclass(frozen=True)
class FromHost:
    site: Site
    host: str

    @property
    def where(self) -> str:
        return f"host {self.host} (the controller is not in clients_from)"

    def shell(self, script: str, timeout: float) -> str:
        connection = self.site.remote.connection(self.host)
        return connection.run("sh -s", stdin=script, sudo=False, timeout=timeout).stdout


def _own_address(towards: str) -> str | None:
    """Which address the controller would use: connecting a datagram socket asks the routes and sends nothing."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, 443))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _gateway(site: Site, asker: Asker, gateway: str, key: Secret) -> Iterator[Proof]:
    cases = tuple(_cases(site, str(site.fleet.service(gateway)), key))
    responses = ask(asker, site.trusted, tuple(case.request for case in cases))
    for case, response in zip(cases, responses, strict=True):
        passed, found = case.judge(response)
        yield Proof(gateway, case.what, passed, found)
    yield _lasting(site, asker, gateway)


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
    for model in site.fleet.file.models.values():
        for name in model.names:
            completion = Request(address, domain, "/v1/chat/completions", _body(name), key)
            yield _Case(f"{name}: a completion", completion, _answered)
            stream = Request(address, domain, "/v1/chat/completions", _body(name, stream=True), key)
            yield _Case(f"{name}: a stream", stream, _streamed)
    wrong, _ = new_key("verify")
    yield _Case("a wrong key is refused", Request(address, domain, key=wrong), _refused)
    plain = Request(address, domain, scheme="http", seconds=10)
    yield _Case("plain HTTP is refused", plain, _no_http)
    yield _Case("port 80 is closed", Request(address, domain, scheme="http", port=80, seconds=3), _no_http)


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


def _closed(site: Site, asker: Asker) -> Iterator[Proof]:
    """The engines' ports admit gateways only: seen from the asker, and its own from elsewhere."""
    endpoints = {
        (str(site.fleet.service(host)), port): (host, f"{host}/{replica}")
        for host, ports in site.lock.ports.items()
        for replica, port in ports.items()
        if host in site.fleet.hosts and not site.fleet.is_local(host)
    }
    own = asker.host if isinstance(asker, FromHost) else None
    for there in (False, True):
        asked = {endpoint: replica for endpoint, (host, replica) in endpoints.items() if (host == own) is there}
        if asked:
            yield from _closed_to(_elsewhere(site, own) if there else asker, asked)


def _elsewhere(site: Site, host: str | None) -> Asker:
    """Return who judges a host's own ports, which any packet filter opens to the host itself."""
    others = [name for name in _no_gateways(site) if name != host]
    return FromHost(site, others[0]) if others else FromController()


def _closed_to(asker: Asker, endpoints: dict[tuple[str, int], str]) -> Iterator[Proof]:
    closed = set(closed_ports(asker, tuple(endpoints)))
    for endpoint, replica in endpoints.items():
        found = "closed" if endpoint in closed else f"{endpoint[0]}:{endpoint[1]} admits {asker.where}"
        yield Proof("-", f"{replica}: its port is closed to all but gateways", endpoint in closed, found)


def _as_described(site: Site) -> Iterator[Proof]:
    """Each host is what its baseline says: nothing would change, and nothing stands against it."""
    run = site.engine.plan(_baseline, site.models)
    for host in site.models:
        yield Proof("-", f"{host}: is as its baseline says", *_judged(run, host))


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
