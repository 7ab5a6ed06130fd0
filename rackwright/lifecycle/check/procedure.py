"""Check everything that could stop an apply, on the controller and on each host, and report it all together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rackwright.errors import FleetError, HostError, Problem, RackwrightError, SecretError
from rackwright.fleet.ca import ca_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.lock_file import mismatches, other_tool, read_lock
from rackwright.fleet.source import HubSource, parse_source
from rackwright.lifecycle.check.client_access import paths_of_models, teams_without_keys
from rackwright.lifecycle.check.result import Asked, Condition, State

if TYPE_CHECKING:
    from rackwright.fleet.hosts.host_spec import HostSpec
    from rackwright.lifecycle.check.apart import Trial
    from rackwright.lifecycle.check.lost_files import Sources
    from rackwright.lifecycle.check.requirements import Answers
    from rackwright.remote import Completed, Remote
    from rackwright.values.targets import Target


LAST_DAYS = timedelta(days=14)


@dataclass(frozen=True)
class Checked:
    """All conditions, in the order in which they were checked."""

    conditions: tuple[Condition, ...]

    @property
    def failed(self) -> tuple[Condition, ...]:
        return tuple(condition for condition in self.conditions if condition.state is State.FAILED)


def check_files(fleet: Fleet) -> Checked:
    """Check only the fleet's files. Raise FleetError if one is invalid or the lock doesn't match the fleet file."""
    from rackwright.fleet.downloads import download_files

    download_files(fleet)
    counts = (("host", fleet.hosts), ("replica", fleet.replicas), ("model", fleet.file.routed))
    count = ", ".join(f"{len(found)} {name}{'' if len(found) == 1 else 's'}" for name, found in counts)
    conditions = [Condition("controller", "fleet file", State.OK, f"{fleet.path}: {count}")]
    conditions += people_ending(fleet, datetime.now(UTC).date())
    conditions += auditors_cut_off(fleet, datetime.now(UTC).date())
    conditions += texts_left_out(fleet)
    conditions += tool_without_times(fleet)
    conditions += paths_of_models(fleet)
    conditions += teams_without_keys(fleet)
    lock = _lock(fleet)
    if lock is None:
        conditions.append(Condition("controller", "lock", State.WARNING, "none yet", "rackwright lock"))
        return Checked(tuple(conditions))
    if problems := (*mismatches(fleet, lock), *filter(None, (other_tool(fleet, lock),))):
        raise FleetError(problems)
    conditions.append(Condition("controller", "lock", State.OK, f"{fleet.sibling('lock')} matches the fleet file"))
    return Checked(tuple(conditions))


def people_ending(fleet: Fleet, today: date) -> Iterator[Condition]:
    """Yield a warning for each person whose access has ended or ends within two weeks. Days are in UTC."""
    for name, person in fleet.file.people.items():
        if person.ended(today):
            found = f"{name}'s access ended on {person.until}; the next apply removes it"
            yield Condition("controller", "people", State.WARNING, found, "rackwright apply")
        elif person.until and person.until - today <= LAST_DAYS:
            days = (person.until - today).days
            found = f"{name}'s last day is {person.until}, {f'in {days} days' if days else 'today'}"
            yield Condition(
                "controller", "people", State.WARNING, found, f"change people.{name}.until, or let the access end"
            )


def auditors_cut_off(fleet: Fleet, today: date) -> Iterator[Condition]:
    """Yield a warning for each jump host in the fleet that refuses to forward for auditors of the hosts behind it."""
    hosts, behind = fleet.file.hosts, dict[str, list[str]]()
    for name, host in hosts.items():
        jump = host.ssh.jump if host.ssh.jump is None or isinstance(host.ssh.jump, str) else host.ssh.jump.address
        for over in (other for other in hosts if jump in (other, hosts[other].address)):
            behind.setdefault(over, []).append(name)
    auditors = [one for one in fleet.file.people.items() if one[1].role == "auditor" and not one[1].ended(today)]
    for over, names in behind.items():
        cut = [who for who, person in auditors if any(fleet.admits(person, name) for name in names)]
        if cut and hosts[over].baseline.sshd.manage == "yes":
            found = f"{over} doesn't forward for auditors: {', '.join(cut)} can't reach {', '.join(names)} through it"
            yield Condition(
                "controller", "people", State.WARNING, found, "use a jump host outside of the fleet, or none"
            )


def texts_left_out(fleet: Fleet) -> Iterator[Condition]:
    """Yield a warning for each golden set and requirements file that the control hosts can't keep."""
    from rackwright.fleet.public_files import named_texts

    for text in named_texts(fleet):
        if text.unfit:
            found = (
                f"{text.place}: {fleet.at(text.written)} {text.unfit}; control hosts and their backups don't have it"
            )
            yield Condition("controller", "fleet file", State.WARNING, found, "put it there, or make it smaller")


def tool_without_times(fleet: Fleet) -> Iterator[Condition]:
    """Yield a warning if the tool on control hosts has nothing to run."""
    from rackwright.fleet.times.occasions import calendar_of

    if fleet.tool_hosts and not calendar_of(fleet.file):
        found = f"unattended.on: the tool on {', '.join(fleet.tool_hosts)} never runs anything"
        yield Condition(
            "controller", "fleet file", State.WARNING, found, "set patch.window or drill.at, or remove it"
        )


def check_hosts(fleet: Fleet, hosts: tuple[str, ...]) -> Checked:
    """Check the secrets, the DNS name and all hosts at the same time. Changes nothing."""
    # Imports the settings of all roles, which `check --offline` doesn't need.
    from rackwright.fleet.downloads import download_files
    from rackwright.fleet.hosts.compose import host_specs
    from rackwright.fleet.hosts.host_spec import Credentials

    conditions = [*_secrets(fleet), *_restic(fleet), *_ending(fleet), *_names(fleet)]
    lock = _lock(fleet)
    if lock is None or mismatches(fleet, lock):
        found = "not asked: there is no lock" if lock is None else "not asked: the lock doesn't match the fleet file"
        conditions.append(Condition("controller", "hosts", State.FAILED, found, "rackwright lock"))
        return Checked(tuple(conditions))
    specs = host_specs(fleet, lock, credentials=Credentials(download_files=download_files(fleet)))
    conditions += _ask(fleet, lock, specs, hosts)
    return Checked(tuple(conditions))


def _lock(fleet: Fleet) -> Lock | None:
    path = fleet.sibling("lock")
    return read_lock(path) if path.exists() else None


def _secrets(fleet: Fleet) -> Iterator[Condition]:
    from rackwright.fleet.references import secret_references

    for where, reference in secret_references(fleet).items():
        yield _secret(where, reference, fleet.path.parent)


def _secret(where: str, reference: str, folder: Path) -> Condition:
    from rackwright.fleet.secrets import resolve

    try:
        resolve(reference, where=where, folder=folder)
    except SecretError as error:
        problem = error.problems[0]
        return Condition("controller", "secret", State.FAILED, f"{where}: {problem.what}", problem.next)
    return Condition("controller", "secret", State.OK, f"{where} resolves")


def _restic(fleet: Fleet) -> Iterator[Condition]:
    """Yield whether this machine has restic, if it must save the kit."""
    from rackwright.fleet.backup_access import kit_repositories

    if names := kit_repositories(fleet):
        from rackwright.lifecycle.backup.restic_here import restic_version

        found, following = f"saves the kit to {', '.join(names)}", None
        try:
            restic_version()
        except RackwrightError as error:
            problem = error.problems[0]
            found, following = f"{problem.what}; {problem.should}; it {found}", problem.next
        yield Condition("controller", "restic", State.FAILED if following else State.OK, found, following)


def _ending(fleet: Fleet) -> Iterator[Condition]:
    """Yield warnings for API keys, the CA and the operator's own certificate if they expire soon."""
    from rackwright.fleet.gateway_certificate import own_certificate_end
    from rackwright.fleet.keys_file import read_keys
    from rackwright.lifecycle.expiry import days, ending_cas, ending_certificates, ending_keys

    now, authority = datetime.now(UTC), ca_of(fleet)
    endings = ending_keys(read_keys(fleet.sibling("keys.yml")), now)
    endings += ending_cas(authority.certificate_file.name, authority.ca_pem, now)
    if own := own_certificate_end(fleet):
        (path, ends), renew = own, "put a new one there, then rackwright apply"
        ending = ending_certificates("controller", {str(path): ends}, now, renew)
        endings += ending
        if not ending:
            yield Condition("controller", "lasts", State.OK, f"certificate {path}: {days(ends - now)}")
    for each in endings:
        yield Condition("controller", "lasts", State.WARNING, each.said(now), each.next)


def _names(fleet: Fleet) -> Iterator[Condition]:
    import socket

    domain = fleet.file.gateway.domain
    try:
        found = sorted({str(entry[4][0]) for entry in socket.getaddrinfo(domain, 443)})
    except OSError:
        yield Condition("controller", "name", State.WARNING, f"{domain} doesn't resolve here", "add it to the DNS")
        return
    wanted = {str(fleet.service(name)) for name in fleet.gateways}
    state = State.OK if wanted & set(found) else State.WARNING
    yield Condition(
        "controller", "name", state, f"{domain} is {', '.join(found)}; gateways: {', '.join(sorted(wanted))}"
    )


def _ask(fleet: Fleet, lock: Lock, every: dict[str, HostSpec], hosts: tuple[str, ...]) -> list[Condition]:
    from rackwright.lifecycle.check.apart import trials
    from rackwright.lifecycle.check.clouds import ask_clouds
    from rackwright.lifecycle.check.lost_files import ask_sources
    from rackwright.lifecycle.check.requirements import script
    from rackwright.remote import Background, Remote

    servers = _servers(fleet, lock)
    specs = {name: every[name] for name in hosts}
    tried = {name: trials(every, name) for name in hosts}
    reached, conditions = _targets(fleet, tuple(specs))
    asking = Background(lambda: ask_sources(fleet, lock, hosts))
    with Remote(reached) as remote:
        asked = {name: (*_sources(spec), *(servers if spec.model_store else ())) for name, spec in specs.items()}
        scripts = {name: script(spec, asked[name], tried[name]) for name, spec in specs.items()}
        # The same for all hosts; on stdin because it is too long for a command.
        bundle = next(iter(specs.values())).downloads.ca_bundle if specs else None
        answers = remote.run_on(remote.names, scripts, stdin=bundle)
        conditions += _judge_sources(fleet, asking.result(), specs, answers, remote, bundle)
        conditions += ask_clouds(fleet, remote)
    now = time.time()
    read: dict[str, Answers] = {}
    for name, answer in answers.items():
        judge = partial(_host, fleet, lock, specs[name], now=now, asked=asked[name], tried=tried[name])
        try:
            read[name], judged = _read(name, answer, judge)
            conditions += judged
        except HostError as error:
            problem: Problem = error.problems[0]
            conditions.append(Condition(name, "reach", State.FAILED, problem.what, problem.next))
    return [*_ca(fleet, specs, read), *conditions]


def _ca(fleet: Fleet, specs: dict[str, HostSpec], read: Mapping[str, Answers]) -> Iterator[Condition]:
    """Yield whether the CA can issue what is due on the hosts that answered."""
    from rackwright.lifecycle.check.ca import KEY, due_on_hosts, judge_ca, kept

    if not read:
        return
    having = {name: kept(answers.values.get(KEY, ())) for name, answers in read.items()}
    yield judge_ca(fleet, due_on_hosts(fleet, specs, having), certified=any(having.values()))


def _judge_sources(
    fleet: Fleet,
    found: Sources,
    specs: dict[str, HostSpec],
    answers: dict[str, Completed | HostError],
    remote: Remote,
    bundle: str | None,
) -> Iterator[Condition]:
    """Yield the conditions of the lock's sources. Hosts are asked about those that this machine can't reach."""
    from rackwright.lifecycle.check.lost_files import SECONDS, judge_sources, parse, script

    left = found.left(name for name, answer in answers.items() if not isinstance(answer, HostError))
    scripts = {name: script(specs[name], urls) for name, urls in left.items()}
    said = remote.run_on(left, scripts, stdin=bundle, timeout=2 * SECONDS)
    by_hosts = {name: parse(one.stdout, left[name]) for name, one in said.items() if not isinstance(one, HostError)}
    yield from judge_sources(fleet, found, by_hosts)


def _read(
    host: str, answer: Completed | HostError, judge: Callable[[Answers], Iterator[Condition]]
) -> tuple[Answers, tuple[Condition, ...]]:
    """Return a host's answers and conditions. Raise HostError if it can't be asked, or its answer can't be read."""
    from rackwright.lifecycle.check.requirements import parse
    from rackwright.remote import read_answer

    if isinstance(answer, HostError):
        raise answer
    said = answer.check("checking the host").stdout

    def judged() -> tuple[Answers, tuple[Condition, ...]]:
        answers = parse(said)
        return answers, tuple(judge(answers))

    return read_answer(host, "checking the host", judged)


def _targets(fleet: Fleet, hosts: tuple[str, ...]) -> tuple[list[Target], list[Condition]]:
    """Return the targets, and a failed condition for each host with a secret that doesn't resolve."""
    from rackwright.fleet.targets import target

    found: list[Target] = []
    failed: list[Condition] = []
    for name in hosts:
        try:
            found.append(target(fleet, name))
        except SecretError as error:
            problem = error.problems[0]
            failed.append(Condition(name, "reach", State.FAILED, f"not tried: {problem.what}", problem.next))
    return found, failed


def _sources(spec: HostSpec) -> tuple[Asked, ...]:
    """Return the servers of a host's own downloads: packages, and wheels of the tool."""
    from rackwright.roles.downloads.settings import inrelease

    mirrors = [inrelease(mirror, suite) for mirror in spec.downloads.mirrors for suite in mirror.suites]
    index = [f"{spec.downloads.package_index.rstrip('/')}/"] if spec.downloads.package_index else []
    wheels = _origins(wheel.url for wheel in spec.tool.wheels) if spec.tool else ()
    return (
        *(Asked(url, "downloads.apt_mirror", exact=True) for url in mirrors),
        *(Asked(url, "downloads.package_index", exact=True) for url in index),
        *(Asked(url, "the lock") for url in sorted(wheels)),
    )


def _origins(urls: Iterable[str]) -> set[str]:
    return {f"https://{urlsplit(url).netloc}" for url in urls if url.startswith("https:")}


def _servers(fleet: Fleet, lock: Lock) -> tuple[Asked, ...]:
    """Return the servers of weights and runtimes."""
    sources = [source for model in fleet.file.models.values() for source in (model.source, *model.adapters.values())]
    hub = any(isinstance(parse_source(source), HubSource) for source in sources)
    stored = [one for model in lock.models.values() for one in model.whole]
    locked = [file.url for one in stored for file in one.files if not one.revision]
    locked += [file.url for runtime in lock.runtimes.values() for file in runtime.files]
    servers = _origins(locked)
    asked = [Asked(fleet.file.downloads.hub.rstrip("/"), "downloads.hub")] if hub else []
    return (*asked, *(Asked(url, "the lock") for url in sorted(servers - {server.url for server in asked})))


def _host(
    fleet: Fleet,
    lock: Lock,
    spec: HostSpec,
    answers: Answers,
    now: float,
    asked: tuple[Asked, ...],
    tried: tuple[Trial, ...],
) -> Iterator[Condition]:
    from rackwright.lifecycle.check.fit import judge_fit
    from rackwright.lifecycle.check.requirements import judge

    reached = "this machine, and sudo" if fleet.is_local(spec.name) else "ssh and sudo"
    yield Condition(spec.name, "reach", State.OK, reached)
    yield from judge(spec, answers, now, asked=asked, trials=tried, controls=spec.name in fleet.control)
    yield from judge_fit(fleet, lock, spec.name, answers.hardware)
