"""What this host backs up, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rackwright.fleet.downloads import route_from_hosts
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.driver import cuda_of, driver_settings
from rackwright.fleet.lock import Lock
from rackwright.fleet.sections.backup import Repository as Asked
from rackwright.fleet.source import FileSource, parse_source
from rackwright.launch import BUILDS
from rackwright.package_set import ROOT as PACKAGES
from rackwright.roles.backup.settings import Repository, Settings
from rackwright.roles.model_store.settings import folder_of
from rackwright.roles.patch.settings import RUNS as PATCHES
from rackwright.route import DIRECT, Route

_EXCLUDED = (
    # Secrets are not in backups: restore copies them to the host again.
    "*.cred",
    # Incomplete and short-lived.
    "*.new",
    "/var/lib/rackwright/backup",
    "/var/lib/rackwright/restore",
    f"{BUILDS}/.incoming",
    # What is installed on this machine, and sets of packages: those in the lock are added again below.
    f"{PACKAGES}/*",
    # What a patch run keeps for its way back: those packages are installed on this machine.
    PATCHES,
)
_SAVED = ("/etc/rackwright", "/var/lib/rackwright")
_MUST = ("/etc/rackwright/backup/run.sh", "/var/lib/rackwright/audit.log")


def backup_of(fleet: Fleet, lock: Lock, host: str, builds: tuple[str, ...] = ()) -> Settings | None:
    """Return what this host backs up and where; None if the fleet file has no `backup`.

    `builds` are the folders in which the host keeps builds of the controller.
    """
    asked = fleet.file.backup
    if asked is None:
        return None
    route = route_from_hosts(fleet)
    weights = tuple(_weights(fleet, lock, host)) if asked.models == "yes" else ()
    sets = tuple(_package_sets(fleet, lock, host)) if asked.packages == "yes" else ()
    return Settings(
        host=host,
        repositories=tuple(settings_of(repository.of(host), route) for repository in asked.to),
        sources=(*_SAVED, *weights),
        must=(*_MUST, *(f"{folder}/.verified" for folder in (*weights, *sets, *builds))),
        exclude=(*_EXCLUDED, *(f"!{folder}" for folder in sets)),
        timezone=fleet.file.timezone,
        at=asked.at,
        check=asked.check.capitalize(),
        keep_hours=asked.keep_within // 3600,
        snapshots=asked.snapshots == "yes",
    )


def _weights(fleet: Fleet, lock: Lock, host: str) -> list[str]:
    """Return the folders of this host's models that can't be fetched from their source again."""
    return [
        folder_of(fleet.file.hosts[host].store.path, model, stored.digest)
        for model in dict.fromkeys(replica.model for replica in fleet.replicas_on(host))
        for stored in lock.models[model].whole
        if isinstance(parse_source(stored.source), FileSource)
    ]


def _package_sets(fleet: Fleet, lock: Lock, host: str) -> Iterator[str]:
    """Yield the folders of this host's packages in the lock: driver with kernel, and CUDA toolkit."""
    driver, cuda = driver_settings(fleet, lock, host), cuda_of(fleet, lock, host)
    if driver and driver.set:
        yield driver.set.folder
    if cuda:
        yield cuda.set.folder


def settings_of(asked: Asked, route: Route) -> Repository:
    """Given a repository of one host, and the route of the machine that reaches it, return its settings."""
    return Repository(
        name=asked.name,
        url=asked.url,
        append_only=asked.append_only == "yes",
        mount=asked.mount,
        known_hosts=_known_hosts(asked),
        user=asked.user,
        own_ca=asked.ca is not None,
        route=route if asked.kind == "rest" else DIRECT,
    )


def _known_hosts(asked: Asked) -> str | None:
    if asked.host_key is None:
        return None
    match = re.match(r"sftp:(?://)?[^@]+@\[?([^\]/]+?)\]?(?::([0-9]+))?(?:/|:/)", asked.url)
    host, port = (match[1], match[2]) if match else ("", None)
    return f"{f'[{host}]:{port}' if port and port != '22' else host} {asked.host_key}"
