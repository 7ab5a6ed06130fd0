"""The packages of a set, resolved by one host's apt in a throwaway root: the script and its parser. No pyinfra."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote

from rackwright.package_set import Package
from rackwright.roles.nvidia_driver.layouts import HELD, Modules, Need, lines

_TEMPLATE = (Path(__file__).parent / "templates/resolve.sh").read_text()
COMPONENTS: Mapping[str, str] = {"debian": "contrib non-free non-free-firmware", "ubuntu": "restricted"}
"""Components of each distribution that have the driver, in addition to main."""
_SETTINGS = """\
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources";
Dir::Etc::preferences "{folder}/pin";
Dir::Etc::preferencesparts "/dev/null";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
"""
_LINE = re.compile(r"'([^']+)' (\S+)_(\S+)_([a-z0-9]+)\.deb (\d+) SHA256:([0-9a-f]{64})")
_OWN_POOLS = ("/pool/contrib/", "/pool/non-free/", "/pool/non-free-firmware/", "/pool/restricted/")


@dataclass(frozen=True)
class Asked:
    """The requirements for a set, for one release and architecture."""

    branch: str
    modules: Modules
    kernel: str
    """Package that installs the kernel."""
    needs: tuple[Need, ...] = ()
    cuda: str | None = None
    running: tuple[str, ...] = ()
    """Releases of the kernels that the hosts run; the set includes their headers if the archive still has them."""


@dataclass(frozen=True)
class Sources:
    """Where the throwaway root's packages come from."""

    sources: str
    """deb822, including keys."""
    others: bool
    """Whether the host's own sources are also read."""
    components: str = ""
    """Components of the host's distribution in addition to main."""
    own: str = ""
    """URL prefix of the driver's own repository."""
    settings: str = ""
    """apt.conf: proxies."""
    cas: str = ""
    """PEM: the CAs with which servers are verified; the host's own when empty."""


@dataclass(frozen=True)
class Resolved:
    version: str
    """Version of the driver, like 580.95.05."""
    kernel: str
    """Release of the set's kernel, as in uname -r."""
    install: tuple[str, ...]
    """Packages that were requested by name; the others are their dependencies."""
    packages: tuple[Package, ...]
    toolkit: tuple[Package, ...]


def script(asked: Asked, sources: Sources, folder: str) -> str:
    """Return a shell script that works in `folder`, which it creates and removes, and changes nothing else."""
    settings = _SETTINGS.format(folder=folder) + sources.settings
    if sources.cas:
        settings += f'Acquire::https::CAInfo "{folder}/CAs.pem";\n'
    values = {
        "folder": folder,
        "sources": sources.sources,
        "settings": settings,
        "CAs": sources.cas,
        "others": "yes" if sources.others else "",
        "components": sources.components,
        "own": sources.own.rstrip("/"),
        "branch": asked.branch,
        "modules": asked.modules,
        "kernel": asked.kernel,
        "running": " ".join(asked.running),
        "layouts": "\n".join(lines(asked.branch, asked.modules, asked.needs)),
        "toolkit": _toolkit(asked.cuda, sources),
        "seen": "",
    }
    head = "".join(f"{key}={shlex.quote(value)}\n" for key, value in values.items())
    return f"set -eu\numask 022\n{head}{_TEMPLATE}"


def parse(output: str, sources: Sources) -> Resolved:
    """Given the script's output, return the set. Raise ValueError if it isn't complete."""
    head, _, toolkit = output.partition("\ntoolkit\n")
    values = dict(line.split(" ", 1) for line in head.splitlines() if line.startswith(("version ", "install ")))
    packages = tuple(_packages(head))
    releases = [re.match(r"linux-image-(?:unsigned-)?(\d\S*)", package.name) for package in packages]
    kernel = next((match[1] for match in releases if match), None)
    if not packages or kernel is None or set(values) != {"version", "install"}:
        raise ValueError(f"apt printed no complete set: {output.strip()[-300:] or 'no output'}")
    for package in packages:
        # Fabric Manager works only with a driver of exactly its own version.
        same = re.match(rf"([0-9]+:)?{re.escape(values['version'])}(?![.0-9])", package.version)
        if "fabricmanager" in package.name and not same:
            raise ValueError(f"{package.name} {package.version} is not for driver {values['version']}")
    return Resolved(
        version=values["version"],
        kernel=kernel,
        install=tuple(name.partition("=")[0] for name in values["install"].split()),
        packages=tuple(package for package in packages if _belongs(package, sources)),
        toolkit=tuple(package for package in _packages(toolkit) if _belongs(package, sources)),
    )


def _packages(text: str) -> Iterator[Package]:
    for line in text.splitlines():
        if match := _LINE.fullmatch(line):
            url, name, version, architecture, size, sha256 = match.groups()
            url = re.sub("^file:/*", "file:///", url)
            yield Package(
                name=name,
                version=unquote(version),
                architecture=architecture,
                size=int(size),
                sha256=sha256,
                url=url,
            )


def _belongs(package: Package, sources: Sources) -> bool:
    """Return whether the package belongs to the set. The host's own apt installs the others, like compilers."""
    ours = bool(sources.own) and package.url.startswith(sources.own)
    return (
        ours
        or any(pool in package.url for pool in _OWN_POOLS)
        or any(fnmatchcase(package.name, pattern) for pattern in HELD)
    )


def _toolkit(cuda: str | None, sources: Sources) -> str:
    if cuda is None:
        return ""
    return "nvidia-cuda-toolkit" if sources.components else f"cuda-toolkit-{cuda.replace('.', '-')}"
