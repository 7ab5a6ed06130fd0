"""Files on the controller that the fleet file names, hashed with constant memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rackwright.errors import FleetError, Problem
from rackwright.fleet.source import FileSource
from rackwright.resolve.model_files import Choice, UnfitFiles
from rackwright.resolve.web import CHUNK, Progress
from rackwright.shape.gguf import read_gguf
from rackwright.shape.source import FileSource as Weights
from rackwright.shape.source import ShapeError
from rackwright.values.file import File
from rackwright.values.regular_file import open_regular


def local_file(path: Path, name: str, url: str, *, where: str, on_progress: Progress) -> File:
    """Return a file's size and sha256, under this name and URL. Raise FleetError if it can't be read or changes."""
    hashed, done = hashlib.sha256(), 0
    try:
        total = path.stat().st_size
        with open_regular(path) as stream:
            # Before it is hashed, which takes minutes for a large file.
            _refuse_cut_off(path, where)
            while chunk := stream.read(CHUNK):
                hashed.update(chunk)
                done += len(chunk)
                on_progress(path.name, done, total)
    except OSError as error:
        raise FleetError([Problem(where, f"{path} can't be read: {error.strerror}")]) from None
    if done != total:
        # Files in /proc also say that they are empty.
        raise FleetError([Problem(where, f"{path} has {total} bytes, but {done} were read: it changes")])
    return File(path=name, size=done, sha256=hashed.hexdigest(), url=url)


def _refuse_cut_off(path: Path, where: str) -> None:
    """Raise FleetError if a GGUF file is shorter than its tensors: an engine would fail on it, on every host."""
    if path.suffix != ".gguf":
        return
    try:
        source = Weights(path)
        needs, size = read_gguf(source).whole, source.size
    except (OSError, ShapeError):
        # Whether it is a model at all is another question.
        return
    if size < needs:
        what = f"{path} has {size} bytes, and its tensors need {needs}: it was cut off"
        raise FleetError([Problem(where, what, next="download it again, and compare its sha256 with the source's")])


def local_model(
    path: Path, source: FileSource, *, where: str, choice: Choice, on_progress: Progress
) -> tuple[File, ...]:
    """Return the chosen files of the source, a file or folder at `path`. Raise FleetError if none are suitable."""
    folder = path if path.is_dir() else path.parent
    paths = sorted(item for item in folder.rglob("*") if item.is_file()) if path.is_dir() else [path]
    try:
        sizes = {str(item.relative_to(folder)): item.stat().st_size for item in paths}
        chosen = choice(sizes)
    except OSError as error:
        raise FleetError([Problem(where, f"{path} can't be read: {error.strerror}")]) from None
    except UnfitFiles as error:
        raise FleetError([error.problem(where, path)]) from None
    if path == folder:
        return files_of_folder(folder, source, chosen, where=where, on_progress=on_progress)
    return (local_file(path, path.name, source.url, where=where, on_progress=on_progress),)


def files_of_folder(
    folder: Path, source: FileSource, names: tuple[str, ...], *, where: str, on_progress: Progress
) -> tuple[File, ...]:
    """Return these files of a folder. Raise FleetError with every link that leaves it, or if one can't be read."""
    inside = folder.resolve()
    if left := [name for name in names if not (folder / name).resolve().is_relative_to(inside)]:
        raise FleetError(
            Problem(where, f"{folder / name} is a link out of the folder", f"copy the file: cp -L {folder / name} …")
            for name in left
        )
    return tuple(
        local_file(folder / name, name, source.url_below(name), where=where, on_progress=on_progress)
        for name in names
    )
