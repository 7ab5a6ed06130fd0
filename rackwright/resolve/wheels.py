"""Which wheels a Python program is made from: those of a folder, or what a package index has for a requirement."""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rackwright.errors import FleetError, Problem
from rackwright.fleet.source import name_in
from rackwright.resolve.local_files import local_file
from rackwright.resolve.package_index import Index, run_uv
from rackwright.resolve.web import Progress
from rackwright.values.file import File

PLATFORM = "x86_64-manylinux_2_39"
"""Of the oldest system that hosts may have: Ubuntu 24.04 has glibc 2.39, Debian 13 has 2.41."""
_SECONDS = 600


def wheels_of_folder(folder: Path, *, where: str, on_progress: Progress) -> tuple[File, ...]:
    """Given a wheelhouse, return the wheels in it. Raise FleetError if there is none, or one can't be read."""
    paths = sorted(folder.glob("*.whl"))
    if not paths:
        raise FleetError(
            [Problem(where, f"{folder} has no wheels", "a folder of .whl files, or a requirements file")]
        )
    return tuple(local_file(path, path.name, where=where, on_progress=on_progress) for path in paths)


def wheels_of_requirements(text: str, *, python: str, index: Index, where: str) -> tuple[File, ...]:
    """Given the text of a requirements file, return the wheels that answer it for hosts with that Python.

    Where it names hashes, each wheel has one of them. Raise FleetError with what the resolver says, or with what has
    no wheel.
    """
    with tempfile.TemporaryDirectory(prefix="rackwright-wheels-") as name:
        asked, answer = Path(name, "requirements.txt"), Path(name, "pylock.toml")
        asked.write_text(text)
        _resolve(asked, answer, python, index, where)
        packages = tomllib.loads(answer.read_text()).get("packages", [])
    hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", text))
    wheels = tuple(_wheel(package, hashes, where) for package in packages)
    if foreign := [wheel.path for wheel in wheels if hashes and wheel.sha256 not in hashes]:
        what = f"{', '.join(foreign[:3])}{', …' if len(foreign) > 3 else ''}: none of the hashes it names"
        raise FleetError([Problem(where, what, "a requirements file with the hashes of all, or of none")])
    return wheels


def _resolve(asked: Path, answer: Path, python: str, index: Index, where: str) -> None:
    words = ["pip", "compile", "--no-header", "--format=pylock.toml", "--only-binary=:all:"]
    # Nothing is built: any interpreter will do, and this one need not be looked for.
    words += [f"--python={sys.executable}", f"--python-version={python}", f"--python-platform={PLATFORM}"]
    words += [f"--output-file={answer}", str(asked)]
    if said := run_uv(words, index, seconds=_SECONDS):
        what = f"no wheels for Python {python}:\n    {said}"
        raise FleetError([Problem(where, what, "a version that the package index has as wheels for it")])


def _wheel(package: Mapping[str, Any], hashes: frozenset[str], where: str) -> File:
    """Return one wheel of a package, as PEP 751 has it: of several that fit one whose hash is named, then the one for
    this kind of machine."""
    try:
        chosen = max(package["wheels"], key=lambda wheel: (wheel["hashes"]["sha256"] in hashes, *_rank(wheel)))
        url = chosen["url"]
        return File(path=name_in(url), size=chosen["size"], sha256=chosen["hashes"]["sha256"], url=url)
    except (LookupError, ValueError):
        what = f"{package.get('name')} {package.get('version', '')} has no wheel with a size and a sha256"
        raise FleetError([Problem(where, what, "a package index that tells them, or a folder of wheels")]) from None


def _rank(wheel: Mapping[str, Any]) -> tuple[bool, str]:
    name = name_in(wheel["url"])
    return not name.endswith("-any.whl"), name
