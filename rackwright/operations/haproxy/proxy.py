"""Common parts of both proxies: a checked configuration, a script for root's part, a unit that only reloads."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyinfra.api.operation import OperationMeta

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.haproxy.config_text import render
from rackwright.operations.haproxy.key_map import keys_applied, keys_loaded, keys_merged
from rackwright.operations.haproxy.paths import CLOUD_KEYS, Paths
from rackwright.operations.packages import installed
from rackwright.operations.unit import running, systemd_unit

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Proxy:
    """One HAProxy."""

    unit: str
    """Without .service."""
    description: str
    paths: Paths
    certificates: tuple[str, ...]
    """Stems of the certificate role's files that it needs."""
    capabilities: str = ""
    groups: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    """Folders that it needs to be mounted."""
    drains: str | None = None
    """Folder in which it records drains."""
    clouds: tuple[str, ...] = ()
    """The names of the clouds whose keys it needs."""
    ledger: str = ""
    """A table with a worker's process id at the end of each key; a reload keeps what each worker counted in gpc0."""
    starts: str = ""
    """A unit that is started, without waiting for it, after each start and reload."""
    is_local: bool = False
    """Whether it only uses sockets of this host, so that it needs no network."""
    also_read: tuple[str, ...] = ()
    """Other roles' files that it reads at each start and reload."""

    @property
    def script(self) -> str:
        return f"{self.paths.configuration}/proxy"

    def script_text(self) -> str:
        return render(
            _TEMPLATES,
            "proxy.sh.j2",
            unit=self.unit,
            paths=self.paths,
            names=self.certificates,
            drains=self.drains,
            clouds=self.clouds,
            cloud_keys=CLOUD_KEYS,
            ledger=self.ledger,
            starts=self.starts,
        )

    @property
    def keys_script(self) -> str:
        return f"{self.paths.configuration}/api-keys"

    def keys_text(self) -> str:
        return render(_TEMPLATES, "api-keys.sh.j2", paths=self.paths)

    def unit_text(self) -> str:
        return render(
            _TEMPLATES,
            "unit.service.j2",
            description=self.description,
            paths=self.paths,
            capabilities=self.capabilities,
            groups=self.groups,
            mounts=self.mounts,
            drains=self.drains,
            is_local=self.is_local,
        )


def proxy_running(proxy: Proxy, *, haproxy_cfg: str, files: Mapping[str, str], keys: str | None = None) -> None:
    """Run the proxy with these files. A change reloads it; answers in progress are finished.

    A changed unit file takes effect at the next start, because a restart would cut answers off. Installing the
    package doesn't start Debian's haproxy.service; if the package is already installed, the service is left alone.
    """
    unit, paths = f"{proxy.unit}.service", proxy.paths
    installed(
        name="Install HAProxy, socat and curl", packages=("haproxy", "socat", "curl"), unstarted=("haproxy.service",)
    )
    folder(name="Create the proxy's folder", path=paths.configuration)
    if proxy.drains:
        folder(name="Create the folder for drains", path=proxy.drains)
    script = _script("Write the proxy's script", proxy.script, proxy.script_text())
    written = [
        checked_file(name=f"Write {name}", path=f"{paths.configuration}/{name}", content=content)
        for name, content in files.items()
    ]
    merged = _keys(proxy, keys) if keys is not None else None
    configuration = checked_file(
        name="Write HAProxy's configuration",
        path=f"{paths.configuration}/haproxy.cfg",
        content=haproxy_cfg,
        check=f"{shlex.quote(proxy.script)} check {{path}}",
    )
    systemd_unit(name=f"Write {unit}", unit=unit, content=proxy.unit_text(), verify=True)
    read = [f"{paths.configuration}/{name}" for name in (*files, "haproxy.cfg")]
    read += proxy.also_read
    for name in proxy.certificates:
        read += [f"{paths.certificates}/{name}{suffix}" for suffix in (".crt", ".ca.crt", ".key.cred")]
    running(name=f"Run {unit}", unit=unit, reload_if=[script, *written, configuration], reload_files=tuple(read))
    if merged:
        keys_loaded(name="Load the keys into every worker", script=proxy.script, paths=paths, written=merged)


def _script(name: str, path: str, content: str) -> OperationMeta:
    return checked_file(name=name, path=path, content=content, mode="0755", check="sh -n {path}")


def _keys(proxy: Proxy, content: str) -> OperationMeta:
    """Write the keys. This comes before HAProxy's first start, because HAProxy reads keys.map."""
    script = _script("Write the keys' script", proxy.keys_script, proxy.keys_text())
    applied = keys_applied(
        name="Write the keys' hashes",
        script=proxy.keys_script,
        path=f"{proxy.paths.configuration}/keys.applied",
        content=content,
    )
    return keys_merged(
        name="Merge them with the keys pushed since", script=proxy.keys_script, written=(script, applied)
    )
