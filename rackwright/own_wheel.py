"""This very rackwright as a wheel. The same files always make the same bytes, whatever machine packs them."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from rackwright import __version__
from rackwright.cache import cache_folder
from rackwright.errors import RackwrightError
from rackwright.values.file import LOCAL, File

NAME = "rackwright"
_PACKAGE = Path(__file__).parent
_LEFT_OUT = ("__pycache__", ".", "~")
"""Beginnings or ends of names that aren't part of the program: caches, hidden files, an editor's copies."""
_OLD_SECONDS = 7 * 86400
_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a ZIP archive can have."""


def own_version() -> str:
    """Return the version with the first digits of the digest, like 0.1.0+1a2b3c4d."""
    return f"{__version__}+{own_digest()[:8]}"


@cache
def own_digest() -> str:
    """Return the sha256 over the program's files and its requirements.

    Raise RackwrightError if this rackwright isn't installed as a package.
    """
    return _digest(_files())


@cache
def own_requirements() -> tuple[str, ...]:
    """Return what the program needs, as in a requirements file, sorted.

    Raise RackwrightError if this rackwright isn't installed as a package.
    """
    from importlib.metadata import PackageNotFoundError, requires

    try:
        found = requires(NAME) or []
    except PackageNotFoundError:
        raise RackwrightError(
            "this rackwright isn't installed as a package, so it doesn't know what it needs",
            next="pip install -e the checkout, or install its wheel",
        ) from None
    return tuple(sorted(_plain(line) for line in found))


def own_wheel() -> File:
    """Return this rackwright's wheel, a file in the cache. Raise RackwrightError if it can't be written there.

    It has no path of this machine and no time in it.
    """
    content = _packed()
    path = cache_folder("tool") / f"{NAME}-{own_version()}-py3-none-any.whl"
    try:
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{os.getpid()}")
            partial.write_bytes(content)
            partial.replace(path)
            _remove_old(path)
    except OSError as error:
        raise RackwrightError(
            f"{path} can't be written: {error.strerror}", should="should be a folder of yours", next="check its owner"
        ) from None
    return File(path=path.name, size=len(content), sha256=_sha256(content), url=f"{LOCAL}{path.absolute()}")


@cache
def _packed() -> bytes:
    import zipfile

    about = f"{NAME}-{own_version()}.dist-info"
    files = tuple(_files())
    if _digest(files) != own_digest():
        raise RackwrightError("rackwright's own files have changed while it runs", next="run the same command again")
    entries = [*((f"{NAME}/{path}", content) for path, content in files), *_about(about)]
    record = "".join(f"{path},sha256={_hash(content)},{len(content)}\n" for path, content in entries)
    entries.append((f"{about}/RECORD", f"{record}{about}/RECORD,,\n".encode()))
    packed = io.BytesIO()
    # Stored: compressed bytes differ between versions of zlib.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for path, content in entries:
            entry = zipfile.ZipInfo(path, _TIME)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, content)
    return packed.getvalue()


def _digest(files: Iterable[tuple[str, bytes]]) -> str:
    lines = [*own_requirements(), *(f"{_sha256(content)} {path}" for path, content in files)]
    return _sha256("".join(f"{line}\n" for line in lines).encode())


def _about(folder: str) -> Iterator[tuple[str, bytes]]:
    needs = "".join(f"Requires-Dist: {line}\n" for line in own_requirements())
    texts = {
        "METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {own_version()}\n{needs}",
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: {NAME}\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": f"[console_scripts]\n{NAME} = {NAME}.__main__:main\n",
    }
    for name, text in texts.items():
        yield f"{folder}/{name}", text.encode()


def _files() -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file of the program, sorted; links are followed."""
    for path in sorted(_below(_PACKAGE, "")):
        yield path, (_PACKAGE / path).read_bytes()


def _below(folder: Path, prefix: str) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.name.startswith(_LEFT_OUT[:2]) or entry.name.endswith(_LEFT_OUT[2]):
            continue
        if entry.is_dir():
            yield from _below(folder / entry.name, f"{prefix}{entry.name}/")
        elif entry.is_file() and not entry.name.endswith(".pyc"):
            yield f"{prefix}{entry.name}"


def _plain(requirement: str) -> str:
    """Return a requirement in one form: those who write it down differ in spaces and in the order of versions."""
    needed, _, marker = requirement.partition(";")
    found = re.fullmatch(r"\s*([A-Za-z0-9._-]+)\s*(\[[^]]*\])?\s*\(?([^()]*?)\)?\s*", needed)
    if found is None:
        return requirement.strip()
    name = re.sub(r"[-_.]+", "-", found[1]).lower()
    versions = ",".join(sorted(part.replace(" ", "") for part in found[3].split(",")))
    return f"{name}{found[2] or ''}{versions}" + (f"; {marker.strip()}" if marker.strip() else "")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hash(content: bytes) -> str:
    """Return the sha256 as RECORD has it (PEP 376)."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def _remove_old(kept: Path) -> None:
    """Remove wheels that nobody has made for a week; another checkout may be sending a newer one."""
    for path in kept.parent.glob(f"{NAME}-*.whl"):
        with suppress(OSError):
            if path != kept and path.stat().st_mtime < time.time() - _OLD_SECONDS:
                path.unlink()
