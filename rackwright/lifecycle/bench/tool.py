"""The tool that measures: guidellm, in an environment of its own below the cache folder, never in ours."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.site_files import route_from_here
from rackwright.route import Route

VERSION = "0.8.1"
REQUIREMENTS = Path(__file__).with_name("guidellm.txt")
_PUBLIC = "https://pypi.org/simple"
_INSTALL_SECONDS = 1800


@dataclass(frozen=True)
class Tool:
    python: Path
    """Of its environment."""
    name: str = f"guidellm {VERSION}"


@dataclass(frozen=True)
class Packages:
    """Where the tool's packages come from."""

    index: str | None
    """None: what this machine's pip is set to."""
    route: Route

    @property
    def pip_options(self) -> tuple[str, ...]:
        index = ("--index-url", self.index) if self.index else ()
        proxy = self.route.proxy_for(self.index or _PUBLIC)
        trusted = ("--cert", self.route.ca_bundle) if self.route.ca_bundle else ()
        return (*index, *(("--proxy", proxy) if proxy else ()), *trusted)


def packages_of(fleet: Fleet) -> Packages:
    return Packages(fleet.file.site.package_index, route_from_here(fleet))


def ensure(packages: Packages, say: Callable[[str], None], *, cache: Path | None = None) -> Tool:
    """The tool is there afterwards, made of the packages that the list names by hash. Made once for each Python.

    Raise RackwrightError if it can't be made: what is half made is made anew the next time.
    """
    folder = (cache or _cache()) / _name()
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    tool, ready = Tool(folder / "bin" / "python"), folder / "ready"
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not ready.exists():
            say(f"installing {tool.name} into {folder} (once; 650 MB)")
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, packages)
            ready.touch()
    return tool


def _name() -> str:
    """What is made of another list, or by another Python, is another environment."""
    made_of = f"{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()} {sys.version} {sys.base_prefix}"
    return f"guidellm-{VERSION}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rackwright" / "tools"


def _make(folder: Path, packages: Packages) -> None:
    _run(
        [sys.executable, "-m", "venv", str(folder)],
        "making its environment",
        should="Python's venv should be there: on Debian and Ubuntu, apt install python3-venv",
    )
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--require-hashes", "--only-binary=:all:"]
    # Its metadata ask for torch, which the list leaves out on purpose.
    command += ["--no-deps", "--requirement", str(REQUIREMENTS), *packages.pip_options]
    should = "a package index should be in reach: site.package_index and site.proxy of the fleet file say which way"
    _run(command, "installing it", should=should)


def _run(command: list[str], what: str, *, should: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS)
    if done.returncode:
        last = "\n    ".join((done.stderr or done.stdout).strip().splitlines()[-4:])
        raise RackwrightError(f"{what} failed:\n    {last}", where=f"guidellm {VERSION}", should=should)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
