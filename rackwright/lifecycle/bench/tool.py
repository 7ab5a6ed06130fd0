"""Install guidellm, the tool that measures, in its own environment below the cache folder, never in rackwright's."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rackwright.cache import cache_folder
from rackwright.errors import RackwrightError
from rackwright.resolve.package_index import Index, run_uv

VERSION = "0.8.1"
REQUIREMENTS = Path(__file__).with_name("guidellm.txt")
_INSTALL_SECONDS = 1800


@dataclass(frozen=True)
class Tool:
    python: Path
    """The Python of its environment."""
    name: str = f"guidellm {VERSION}"


def ensure(index: Index, say: Callable[[str], None], *, cache: Path | None = None) -> Tool:
    """Return the tool; install it first if it is missing, from packages pinned by hash. Done once for each Python.

    Raise RackwrightError if it can't be installed; the next call then starts again.
    """
    folder = (cache or cache_folder("tools")) / _name()
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    tool, ready = Tool(folder / "bin" / "python"), folder / "ready"
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not ready.exists():
            say(f"installing {tool.name} into {folder} (once; 450 MB)")
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, index)
            ready.touch()
    return tool


def _name() -> str:
    """Return a name that differs for each list of packages and each Python."""
    made_of = f"{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()} {sys.version} {sys.base_prefix}"
    return f"guidellm-{VERSION}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"


def _make(folder: Path, index: Index) -> None:
    python = folder / "bin" / "python"
    install = ["pip", "install", f"--python={python}", "--require-hashes", "--only-binary=:all:"]
    # Its metadata requires torch, which the list leaves out on purpose.
    install += ["--no-deps", f"--requirements={REQUIREMENTS}"]
    for words in (["venv", f"--python={sys.executable}", "--no-python-downloads", str(folder)], install):
        if said := run_uv(words, index, seconds=_INSTALL_SECONDS):
            should = (
                "uv should reach a package index: see downloads.package_index and downloads.proxy in the fleet file"
            )
            raise RackwrightError(f"can't be installed:\n    {said}", where=f"guidellm {VERSION}", should=should)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
