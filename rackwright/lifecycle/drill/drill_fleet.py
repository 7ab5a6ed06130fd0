"""The fleet file of a drill: the one in the kit, extended with the scratch hosts' addresses.

It is what an operator writes who recovers on other machines, and the same commands work on it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rackwright.errors import FleetError, Problem, ProofError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.fleet.public_files import named_files
from rackwright.fleet.recorded_control import without_recorded_control
from rackwright.fleet.references import secret_references
from rackwright.fleet.sections.backup import Repository
from rackwright.fleet.sections.clouds import Cloud
from rackwright.fleet.sections.drill import ScratchHost
from rackwright.fleet.sections.hosts import Host
from rackwright.fleet.targets import scratch_ssh
from rackwright.lifecycle.backup.kit_content import CA_KEY
from rackwright.lifecycle.drill.scope import Scope
from rackwright.lifecycle.drill.scratch_hosts.fleet_addresses import addresses_of_makers
from rackwright.lifecycle.restore.fetch_kit import FetchedKit
from rackwright.values.network import Network
from rackwright.values.tool_mode import in_tool_mode

_FILE = "file:"
_COPIED = ("lock", "keys.yml", "ca.crt")
_NOT_HERE = "not part of this drill"
_NO_SERVER = 1
"""A port (tcpmux) on which no server of today listens."""


@dataclass(frozen=True)
class Place:
    """Where the drill's fleet is."""

    scope: Scope
    own: Fleet
    """The operator's fleet: scratch hosts, pinned SSH keys and secrets are from there."""
    controller: tuple[str, ...]
    """Addresses of this machine, from which the drill's client asks."""
    lost: str | None = None
    """The repository that the drill takes for lost; None: none."""
    password: Path | None = None
    """A file with a wrong password for all repositories; None: they have their own."""


def write_drill_fleet(kit: FetchedKit, place: Place) -> Fleet:
    """Write the drill's fleet file next to the kit's, with its lock, keys file, CA and pins; return the fleet.

    Nothing of the kit runs before this returns. Raise ProofError if its fleet file has secrets or repositories that
    the operator's doesn't have. Raise FleetError if it isn't valid, or if it has no host that the drill covers.
    """
    restored = load_fleet(kit.fleet_file)
    _refuse_forged(restored, place.own)
    _refuse_unknown_hosts(restored, place.scope)
    link_secrets(kit, restored, place.own)
    path = restored.path.with_name(f"{restored.path.stem}-drill.yml")
    _create(path, json.dumps(_settings(kit, restored, place), indent=1).encode())
    for suffix in _COPIED:
        if (source := restored.sibling(suffix)).is_file() and not source.is_symlink():
            _create(path.with_name(f"{path.stem}.{suffix}"), _copied(source))
    pins = place.own.sibling("known_hosts")
    _create(path.with_name(f"{path.stem}.known_hosts"), pins.read_bytes() if pins.exists() else b"")
    return load_fleet(path)


def _copied(source: Path) -> bytes:
    """Return the file's content, of a lock without its control hosts: the drill has one that is here."""
    content = source.read_bytes()
    return without_recorded_control(content) if source.suffix == ".lock" else content


def link_secrets(kit: FetchedKit, restored: Fleet, own: Fleet) -> None:
    """Link the files with secrets, which no kit has, into the kit's folder, from the operator's.

    Raise ProofError if the kit's fleet file leads out of its folder, or if the kit has such a file.
    """
    linked: set[Path] = set()
    for where, reference in secret_references(restored).items():
        written = reference.removeprefix(_FILE)
        if not reference.startswith(_FILE) or written.startswith(("/", "~")):
            continue
        target = Path(os.path.normpath(restored.path.parent / written))
        # A folder in the kit may be a link.
        if not target.is_relative_to(kit.folder) or not target.parent.resolve().is_relative_to(kit.folder.resolve()):
            raise ProofError("leads out of the kit's folder", where=f"{where} of the kit", should=reference)
        if target in linked:
            continue
        if os.path.lexists(target):
            raise ProofError("the kit has this file", where=f"{where} of the kit", should="no kit has a secret")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to((own.path.parent / written).absolute())
        linked.add(target)


def _refuse_forged(restored: Fleet, own: Fleet) -> None:
    """Raise ProofError if the kit would use other secrets, commands or repositories than the operator's fleet file.

    With a forged kit, commands would run here, and secrets would go to a server that the forger chose.
    """
    known = set(_other_references(own))
    strange = [text for text in dict.fromkeys(_other_references(restored)) if text not in known]
    kept = {one.name: one for one in own.file.backup.to} if own.file.backup else {}
    asked = restored.file.backup.to if restored.file.backup else ()
    strange += [f"the cloud {name}: {one.url}, {one.key}" for name, one in _strange_clouds(restored, own)]
    strange += [f"the repository {one.name}: {_described(one)}" for one in asked if kept.get(one.name) != one]
    if strange:
        raise ProofError(
            "the kit's fleet file has secrets, files or repositories that this fleet file doesn't have",
            should="someone who can write to the repository may have forged it",
            listed=strange,
            next="rackwright backup kit, if you changed them in the fleet file",
        )


def _strange_clouds(restored: Fleet, own: Fleet) -> list[tuple[str, Cloud]]:
    """Return the clouds that would get a key elsewhere than the operator's fleet file says."""
    known = {(one.url, one.key, one.ca) for one in own.file.clouds.values()}
    return [(name, one) for name, one in restored.file.clouds.items() if (one.url, one.key, one.ca) not in known]


def _described(repository: Repository) -> str:
    return ", ".join((repository.url, *filter(None, repository.references.values())))


def _other_references(fleet: Fleet) -> list[str]:
    """Return the references to secrets, except those of repositories: their hosts may be others by now.

    Files outside the fleet's folder that go to hosts count, too.
    """
    builds = [model.runtime.build or "" for model in fleet.file.models.values()]
    files = [*(f"{_FILE}{path}" for path in named_files(fleet)), *(text for text in builds if text.startswith(_FILE))]
    secrets = [text for place, text in secret_references(fleet).items() if not place.startswith("backup.")]
    return [*secrets, *(text for text in files if _leads_out(text.removeprefix(_FILE)))]


def _leads_out(path: str) -> bool:
    return path.startswith(("/", "~")) or ".." in path.split("/")


def _refuse_unknown_hosts(restored: Fleet, scope: Scope) -> None:
    if missing := [host for host in scope.scratch if host not in restored.file.hosts]:
        problem = Problem("hosts", f"the kit's fleet file has no {', '.join(missing)}", next="rackwright backup kit")
        raise FleetError([problem])


def _settings(kit: FetchedKit, restored: Fleet, place: Place) -> Mapping[str, object]:
    """Return the drill's fleet file: it lacks what other machines must have, like a virtual address."""
    file, scope = restored.file, place.scope
    drill = place.own.file.drill
    scratch = drill.hosts if drill else {}
    hosts = {
        host: _host(place, scratch[scope.scratch[host]], lost) if host in scope.scratch else {"disabled": _NOT_HERE}
        for host, lost in file.hosts.items()
    }
    backup: dict[str, object] = {"snapshots": "no"}
    if file.backup and (place.lost or place.password):
        backup["to"] = [_repository(one, place).model_dump(mode="json", exclude_none=True) for one in file.backup.to]
    with_clouds = [name for name, model in file.models.items() if model.cloud]
    peers = file.p2p and file.p2p.from_ and file.p2p.from_ not in scope.scratch
    return {
        "extends": restored.path.name,
        "hosts": hosts,
        # One alone keeps its data in files, which a restore brings back. Each of several had them in its snapshot.
        "control": [host for host in restored.control if host in scope.scratch][:1],
        "gateway": {"vip": None},
        "firewall": {
            "admin_from": _with_makers(file.firewall.admin_from, place),
            "clients_from": list(place.controller),
            "allow": [],
        },
        "backup": backup,
        "drill": None,
        # It is the restored replicas that must answer.
        **({"models": {name: {"cloud": None} for name in with_clouds}} if with_clouds else {}),
        # A second tool would patch the same hosts.
        "unattended": {"on": None, "person": None, "key": None, "repository": None},
        **({"p2p": {"from": None}} if peers else {}),
        **({"ca": {"key": f"{_FILE}{kit.folder / CA_KEY}"}} if kit.key_of else {}),
    }


def _with_makers(networks: Iterable[Network], place: Place) -> list[str]:
    """Return the networks, this machine, and the hosts whose tool makes drills: one of these may take over."""
    return [*map(str, networks), *place.controller, *map(str, addresses_of_makers(place.own))]


def _repository(asked: Repository, place: Place) -> Repository:
    if place.password:
        return asked.model_copy(update={"password": f"{_FILE}{place.password}"})
    return asked.model_copy(update={"url": unreachable(asked)}) if asked.name == place.lost else asked


def unreachable(asked: Repository) -> str:
    """Return the repository's URL with a port on which no server listens, as if the server were lost."""
    if asked.kind == "path":
        return f"{asked.url}/lost"
    short = re.fullmatch(r"sftp:([^/:]+@(?:\[[^\]]+\]|[^/:]+)):(/.*)", asked.url)
    url = f"sftp://{short[1]}/{short[2]}" if short else asked.url
    parts = re.fullmatch(r"([a-z]+:(?:https?:)?//(?:[^/@]+@)?(?:\[[^\]]+\]|[^/:]+))(?::[0-9]+)?(/.*)?", url)
    return f"{parts[1]}:{_NO_SERVER}{parts[2] or ''}" if parts else url


def _host(place: Place, scratch: ScratchHost, lost: Host) -> Mapping[str, object]:
    """Return how the host is reached. Each key is set, because the kit's file may set it for the lost machine."""
    own, never = place.own, lost.baseline.fail2ban.ignoreip
    password = scratch.sudo.password
    # In tool mode, a secret has its name from how the fleet file refers to it.
    if password and password.startswith(_FILE) and not in_tool_mode():
        password = f"{_FILE}{own.at(password.removeprefix(_FILE)).absolute()}"
    return {
        "address": str(scratch.address),
        "service": None,
        "fabric": None,
        "disabled": None,
        "ssh": scratch_ssh(own, scratch).model_dump(mode="json"),
        "sudo": {"password": password},
        # Without `ignoreip`, networks in `admin_from` are never banned.
        "baseline": {"fail2ban": {} if never is None else {"ignoreip": _with_makers(never, place)}},
    }


def _create(path: Path, content: bytes) -> None:
    """Create the file; it must not exist: what the kit has there could lead elsewhere."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise ProofError("the kit has a file of this name", where=path.name) from None
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
