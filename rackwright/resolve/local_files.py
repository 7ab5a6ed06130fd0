"""Files on the controller that the fleet file names, hashed with constant memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rackwright.errors import FleetError, Problem
from rackwright.resolve.model_files import Choice, UnfitFiles
from rackwright.resolve.web import CHUNK, Progress
from rackwright.values.file import File


def local_file(path: Path, name: str, *, where: str, on_progress: Progress) -> File:
    """Return a file's size, sha256 and file:// URL under this name. Raise FleetError if it can't be read."""
    hashed, done = hashlib.sha256(), 0
    try:
        total = path.stat().st_size
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                hashed.update(chunk)
                done += len(chunk)
                on_progress(path.name, done, total)
    except OSError as error:
        raise FleetError([Problem(where, f"{path} can't be read: {error.strerror}")]) from None
    return File(path=name, size=done, sha256=hashed.hexdigest(), url=path.resolve().as_uri())


def local_model(path: Path, *, where: str, choice: Choice, on_progress: Progress) -> tuple[File, ...]:
    """Return the chosen files of a file or folder. Raise FleetError if none are suitable."""
    folder = path if path.is_dir() else path.parent
    paths = sorted(item for item in folder.rglob("*") if item.is_file()) if path.is_dir() else [path]
    try:
        sizes = {str(item.relative_to(folder)): item.stat().st_size for item in paths}
        chosen = choice(sizes)
    except OSError as error:
        raise FleetError([Problem(where, f"{path} can't be read: {error.strerror}")]) from None
    except UnfitFiles as error:
        raise FleetError([Problem(where, f"{path} {error}", error.should)]) from None
    return tuple(local_file(folder / name, name, where=where, on_progress=on_progress) for name in chosen)
