"""The wheels of a Python program: from a folder, or from a package index by requirements."""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rackwright.errors import FleetError, Problem
from rackwright.fleet.lock_rules import HTTPS
from rackwright.fleet.source import FileSource, name_in
from rackwright.resolve.local_files import files_of_folder
from rackwright.resolve.package_index import Index, run_uv
from rackwright.resolve.web import Progress
from rackwright.values.file import File

PLATFORM = "x86_64-manylinux_2_39"
"""The platform of the oldest supported system: Ubuntu 24.04 has glibc 2.39, Debian 13 has 2.41."""
_SECONDS = 600


def wheels_of_folder(folder: Path, source: FileSource, *, where: str, on_progress: Progress) -> tuple[File, ...]:
    """Return the wheels in the source's folder. Raise FleetError if there are none, or one can't be read."""
    names = tuple(sorted(path.name for path in folder.glob("*.whl")))
    if not names:
        raise FleetError(
            [Problem(where, f"{folder} has no wheels", "should be a folder of .whl files, or a requirements file")]
        )
    return files_of_folder(folder, source, names, where=where, on_progress=on_progress)


def wheels_of_requirements(
    text: str, *, python: str, index: Index, where: str, constraints: str = ""
) -> tuple[File, ...]:
    """Given the text of a requirements file, return its wheels for hosts with this version of Python.

    If the file has hashes, each wheel must match one of them. `constraints`, in the same form, only says which
    versions may be taken. Raise FleetError with the resolver's message, or with
    the packages without a wheel.
    """
    with tempfile.TemporaryDirectory(prefix="rackwright-wheels-") as name:
        asked, answer = Path(name, "requirements.txt"), Path(name, "pylock.toml")
        asked.write_text(text)
        limits = Path(name, "constraints.txt")
        limits.write_text(constraints)
        _resolve(asked, limits, answer, python, index, where)
        packages = tomllib.loads(answer.read_text()).get("packages", [])
    hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", text))
    wheels = tuple(_wheel(package, hashes, where) for package in packages)
    if foreign := [wheel.path for wheel in wheels if hashes and wheel.sha256 not in hashes]:
        what = f"{', '.join(foreign[:3])}{', …' if len(foreign) > 3 else ''}: not one of its hashes"
        raise FleetError(
            [Problem(where, what, "should be a requirements file with hashes for all packages or for none")]
        )
    return wheels


def _resolve(asked: Path, limits: Path, answer: Path, python: str, index: Index, where: str) -> None:
    words = ["pip", "compile", "--no-header", "--format=pylock.toml", "--only-binary=:all:"]
    # Nothing is built, so any interpreter works, and with this one uv doesn't have to search.
    words += [f"--python={sys.executable}", f"--python-version={python}", f"--python-platform={PLATFORM}"]
    words += [f"--constraints={limits}", f"--output-file={answer}", str(asked)]
    if said := run_uv(words, index, seconds=_SECONDS):
        what = f"no wheels for Python {python}:\n    {said}"
        raise FleetError([Problem(where, what, "should be a version with wheels for it in the package index")])


def _wheel(package: Mapping[str, Any], hashes: frozenset[str], where: str) -> File:
    """Return one wheel of a package in PEP 751 form. It prefers wheels with a named hash, then platform wheels."""
    try:
        chosen = max(package["wheels"], key=lambda wheel: (wheel["hashes"]["sha256"] in hashes, *_rank(wheel)))
        url = chosen["url"]
        wheel = File(path=name_in(url), size=chosen["size"], sha256=chosen["hashes"]["sha256"], url=url)
    except (LookupError, ValueError):
        what = f"{package.get('name')} {package.get('version', '')} has no wheel with a size and a sha256"
        raise FleetError(
            [Problem(where, what, "should be from a package index with both, or from a folder of wheels")]
        ) from None
    if not url.startswith(HTTPS):
        raise FleetError([Problem(where, f"{wheel.path} is at {url}", "should be from a package index with https")])
    return wheel


def _rank(wheel: Mapping[str, Any]) -> tuple[bool, str]:
    name = name_in(wheel["url"])
    return not name.endswith("-any.whl"), name
