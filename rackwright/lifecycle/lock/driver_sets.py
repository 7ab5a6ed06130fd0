"""The packages of each host's driver and kernel, resolved on one host of each kind for all hosts of that kind."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from shlex import join

from rackwright.errors import FleetError, HostError, Problem
from rackwright.fleet.downloads import DownloadFiles, download_files
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.downloads import downloads_of
from rackwright.fleet.lock import DriverLock, Lock
from rackwright.fleet.sections.driver import Driver
from rackwright.fleet.targets import targets
from rackwright.hardware.command import COMMAND as HARDWARE_COMMAND
from rackwright.hardware.generation import Generation, generation_of, modules_for, newest_branch, oldest_branch
from rackwright.hardware.hardware import Hardware, parse_hardware
from rackwright.remote import Remote, checked
from rackwright.remote.batch import Batch
from rackwright.resolve.openpgp import fingerprints, signed_by
from rackwright.roles.downloads.configuration import apt_conf, apt_sources
from rackwright.roles.downloads.settings import Settings as Downloads
from rackwright.roles.nvidia_driver.layouts import Modules, Need
from rackwright.roles.nvidia_driver.repository import FINGERPRINTS, Repository, repository_of
from rackwright.roles.nvidia_driver.resolve import COMPONENTS, Asked, Resolved, Sources, parse, script

_KERNEL_COMMAND = "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' 'linux-image-*' 2>/dev/null || true"
_KERNELS = {"debian": "linux-image-{architecture}", "ubuntu": "linux-image-generic"}
_RESOLVE_SECONDS = 600
_WITH_SUBNETS = (Generation.BLACKWELL, Generation.RUBIN)
"""Generations whose NVSwitches need a subnet manager in addition to the Fabric Manager."""

_HGX_BLACKWELL = frozenset({"2901", "3182"})
"""Device ids of B200 and B300 on HGX boards (pci.ids, vendor 10de)."""


@dataclass(frozen=True)
class Kind:
    """What hosts with the same set of packages have in common."""

    driver: Driver
    system: str
    architecture: str
    needs: tuple[Need, ...]
    modules: Modules
    kernel: str
    """Package that installs it."""
    running: str = field(default="", compare=False)
    """Release of the kernel that this host runs."""


def resolve_drivers(
    fleet: Fleet, previous: Lock | None, *, upgrade: bool, hosts: Collection[str] | None = None
) -> dict[str, DriverLock]:
    """Return a set of packages for each host whose driver rackwright installs, by `DriverLock.name`.

    If nothing changed, the previous set is kept and no host is asked, unless `upgrade`. `hosts`: those that may be
    asked, the others keep their sets; None: all hosts in service. Raise FleetError naming every
    host without an answer, HostError if a host can't be asked.
    """
    had = {host for locked in previous.drivers.values() for host in locked.hosts} if previous else set[str]()
    # A disabled host keeps its set for its return.
    asked = {name: fleet.driver_of(name, had=name in had) for name in fleet.file.hosts}
    drivers = {name: driver for name, driver in asked.items() if driver and driver.installs}
    asked_hosts = fleet.hosts if hosts is None else tuple(name for name in fleet.hosts if name in hosts)
    kept = {} if previous is None else _kept(previous, drivers, asked_hosts if upgrade else ())
    left = {
        name: driver
        for name, driver in drivers.items()
        if name in asked_hosts and not any(name in one.hosts for one in kept.values())
    }
    if not left:
        return kept
    with Remote(targets(fleet)) as remote:
        return _asked(_Asking(fleet, remote, download_files(fleet)), left, kept, known={} if upgrade else kept)


def _kept(previous: Lock, drivers: Mapping[str, Driver], asked_again: tuple[str, ...]) -> dict[str, DriverLock]:
    """Return the previous sets that are still valid, each with those of its hosts that aren't asked again."""
    found: dict[str, DriverLock] = {}
    for name, locked in previous.drivers.items():
        there = (host for host in locked.hosts if host in drivers and host not in asked_again)
        hosts = tuple(host for host in there if drivers[host].question == locked.question)
        if hosts:
            found[name] = locked.model_copy(update={"hosts": hosts})
    return found


@dataclass(frozen=True)
class _Asking:
    fleet: Fleet
    remote: Remote
    files: DownloadFiles


def _asked(
    asking: _Asking, drivers: Mapping[str, Driver], kept: dict[str, DriverLock], known: Mapping[str, DriverLock]
) -> dict[str, DriverLock]:
    """Return `kept` with the sets of these hosts. `known`: sets that they may have without asking apt."""
    kinds = _kinds(asking, drivers)
    found = dict(kept)
    problems: list[Problem] = []
    for kind, hosts in _grouped(kinds).items():
        try:
            same = next((one for one in known.values() if _answers(one, kind)), None)
            running = tuple(sorted({kinds[host].running for host in hosts}))
            locked = same or _resolve(asking, kind, hosts[0], running)
        except FleetError as error:
            problems += error.problems
            continue
        others = found[locked.name].hosts if locked.name in found else ()
        found[locked.name] = locked.model_copy(update={"hosts": _in_order(asking.fleet, (*others, *hosts))})
    if problems:
        raise FleetError(problems)
    return found


def _in_order(fleet: Fleet, hosts: Iterable[str]) -> tuple[str, ...]:
    wanted = set(hosts)
    return tuple(name for name in fleet.file.hosts if name in wanted)


def _answers(locked: DriverLock, kind: Kind) -> bool:
    return (locked.question, locked.system, locked.architecture, locked.needs, locked.modules) == (
        *(kind.driver.question, kind.system, kind.architecture, kind.needs, kind.modules),
    ) and locked.kernel_package == kind.kernel


def _grouped(kinds: Mapping[str, Kind]) -> dict[Kind, tuple[str, ...]]:
    return {kind: tuple(name for name, one in kinds.items() if one == kind) for kind in dict.fromkeys(kinds.values())}


def _kinds(asking: _Asking, drivers: Mapping[str, Driver]) -> dict[str, Kind]:
    batch = Batch.of((_KERNEL_COMMAND, HARDWARE_COMMAND))
    answers = checked(asking.remote.run_on(drivers, batch.script), "reading the hardware")
    kinds: dict[str, Kind] = {}
    problems: list[Problem] = []
    for name, answer in answers.items():
        if isinstance(answer, HostError):
            raise answer
        parts = [part.stdout for part in batch.whole(answer.stdout_bytes)]
        if len(parts) < batch.count:
            raise HostError("its answer is incomplete", where=name)
        kernels, hardware = parts
        try:
            kinds[name] = kind_of(drivers[name], parse_hardware(hardware), kernels)
        except ValueError as error:
            problems.append(Problem(f"{asking.fleet.path} driver", f"{name}: {error}"))
    if problems:
        raise FleetError(problems)
    return kinds


def kind_of(driver: Driver, hardware: Hardware, kernels: str) -> Kind:
    """Given a host's hardware and its kernel packages, return what its set depends on.

    Raise ValueError if its GPUs don't support what the fleet file asks for.
    """
    system = hardware.system.partition(" ")[0]
    if system not in COMPONENTS:
        raise ValueError(
            f"runs {hardware.system or 'an unknown system'}; drivers are installed only on Debian and Ubuntu"
        )
    return Kind(
        driver=driver,
        system=hardware.system,
        architecture=hardware.architecture,
        needs=_needs(hardware),
        modules=_modules(driver, hardware),
        kernel=driver.kernel or _kernel(kernels, _KERNELS[system].format(architecture=hardware.architecture)),
        running=hardware.kernel,
    )


def _kernel(kernels: str, default: str) -> str:
    """Return the package that installs new kernels: its name has no version, neither first nor after `unsigned-`."""
    lines = (line.split() for line in kernels.splitlines())
    installed = [words[1] for words in lines if words[:1] == ["installed"] and len(words) > 1]
    return next((name for name in installed if not re.match(r"linux-image-(unsigned-)?[0-9]", name)), default)


def _needs(hardware: Hardware) -> tuple[Need, ...]:
    if not hardware.nvswitches:
        # Blackwell's switches aren't PCI devices of their own, so boards with switches are recognized by their GPUs.
        return ("fabric", "subnet") if any(gpu.device in _HGX_BLACKWELL for gpu in hardware.nvidia) else ()
    subnet = any(generation_of(gpu) in _WITH_SUBNETS for gpu in hardware.nvidia)
    return ("fabric", "subnet") if subnet else ("fabric",)


def _modules(driver: Driver, hardware: Hardware) -> Modules:
    gpus, major = hardware.nvidia, int((driver.branch or "0").partition(".")[0])
    for gpu in gpus:
        newest, oldest = newest_branch(generation_of(gpu)), oldest_branch(generation_of(gpu))
        if newest and major > newest:
            raise ValueError(
                f"branch {driver.branch} doesn't support {gpu.name or gpu.device}; {newest} is the last that does"
            )
        if oldest and major < oldest:
            raise ValueError(
                f"branch {driver.branch} doesn't support {gpu.name or gpu.device}; {oldest} is the first that does"
            )
    fit = [
        modules
        for modules in ("open", "proprietary")
        if all(modules in modules_for(generation_of(gpu)) for gpu in gpus)
    ]
    if not fit:
        raise ValueError("no kernel modules support all of its GPUs: their generations differ too much")
    if driver.modules and driver.modules not in fit:
        raise ValueError(f"its GPUs need {fit[0]} modules; driver.modules asks for {driver.modules}")
    return driver.modules or ("open" if fit[0] == "open" else "proprietary")


def _resolve(asking: _Asking, kind: Kind, host: str, running: tuple[str, ...]) -> DriverLock:
    where = f"{asking.fleet.path} driver"
    driver, sources = kind.driver, _sources(asking, kind, host)
    asked = Asked(driver.branch or "", kind.modules, kind.kernel, kind.needs, driver.cuda, running)
    command = script(asked, sources, f"/run/rackwright-resolve-{secrets.token_hex(8)}")
    answer = asking.remote.connection(host).run("sh -s", stdin=command, timeout=_RESOLVE_SECONDS)
    if not answer.ok:
        said = " ".join(answer.last_lines(8)).strip()
        raise FleetError([Problem(where, f"{host}: {said}", "check driver.branch and driver.source")])
    try:
        return _locked(kind, parse(answer.stdout, sources))
    except ValueError as error:
        raise FleetError([Problem(where, f"{host}: {error}")]) from None


def _locked(kind: Kind, resolved: Resolved) -> DriverLock:
    cuda = next((one.version for one in resolved.toolkit if one.name == "nvidia-cuda-toolkit"), None)
    if kind.driver.cuda and cuda and not cuda.startswith(f"{kind.driver.cuda}."):
        raise ValueError(f"the distribution's toolkit is {cuda}; driver.cuda asks for {kind.driver.cuda}")
    return DriverLock(
        question=kind.driver.question,
        system=kind.system,
        architecture=kind.architecture,
        needs=kind.needs,
        modules=kind.modules,
        hosts=(),
        version=resolved.version,
        kernel=resolved.kernel,
        kernel_package=kind.kernel,
        install=resolved.install,
        packages=resolved.packages,
        cuda=resolved.toolkit,
    )


def _sources(asking: _Asking, kind: Kind, host: str) -> Sources:
    downloads, driver = downloads_of(asking.fleet, host, asking.files), kind.driver
    own = "" if driver.source == "distribution" else _repository(asking, kind, host, downloads)
    route = downloads.route.model_copy(update={"ca_bundle": None})
    return Sources(
        sources="\n".join(
            text for text in (apt_sources(downloads, lambda keyring: signed_by(keyring.content)), own) if text
        ),
        others=not downloads.replace,
        components=COMPONENTS[kind.system.partition(" ")[0]] if driver.source == "distribution" else "",
        own=_repository_url(kind) if own else "",
        settings=apt_conf(downloads.model_copy(update={"route": route})) or "",
        cas=downloads.ca_bundle or "",
    )


def _repository_url(kind: Kind) -> str:
    driver = kind.driver
    if driver.path:
        return f"file://{driver.path}"
    return driver.mirror or repository_of(kind.system, kind.architecture).url


def _repository(asking: _Asking, kind: Kind, host: str, downloads: Downloads) -> str:
    """Return the entry of the driver's own repository as deb822, with its key."""
    driver = kind.driver
    if driver.key:
        keyring = asking.files.keyrings[driver.key].content
    elif driver.path:
        # Trusted here, because each package is verified by its sha256 in the lock whenever it is used.
        return f"Types: deb\nURIs: file:{driver.path}\nSuites: ./\nTrusted: yes\n"
    else:
        keyring = _vendor_key(asking, kind, host, downloads)
    return f"Types: deb\nURIs: {_repository_url(kind)}\nSuites: ./\n{signed_by(keyring)}"


def _vendor_key(asking: _Asking, kind: Kind, host: str, downloads: Downloads) -> bytes:
    """Return NVIDIA's key, fetched from the repository, if its fingerprint is a known one."""
    repository: Repository = repository_of(kind.system, kind.architecture)
    url = f"{_repository_url(kind).rstrip('/')}/{repository.key_file}"
    options = downloads.route.model_copy(update={"ca_bundle": None}).curl_options
    command = join(("curl", "-q", "-sS", "--fail", "--location", "-m", "60", *options, "--", url))
    answer = asking.remote.connection(host).run(command, timeout=90)
    where = f"{asking.fleet.path} driver"
    if not answer.ok:
        said = " ".join(answer.last_lines()).strip()
        should = "check driver.mirror and downloads.proxy, or name the keyring with driver.key"
        raise FleetError([Problem(where, f"{host}: {url}: {said}", should)])
    try:
        found = fingerprints(answer.stdout_bytes)
    except ValueError as error:
        raise FleetError([Problem(where, f"{url} {error}", "should be NVIDIA's public key")]) from None
    if not found or not set(found) <= FINGERPRINTS:
        known = ", ".join(sorted(FINGERPRINTS))
        raise FleetError([Problem(where, f"{url} has {', '.join(found) or 'no key'}", f"NVIDIA's keys are {known}")])
    return answer.stdout_bytes
