"""Shapes and chat templates of models for the lock: from local files, or by HTTP range requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rackwright.errors import RackwrightError
from rackwright.resolve.web import Web
from rackwright.shape.from_files import ModelFacts, read_model, read_shape
from rackwright.shape.shape import ModelShape
from rackwright.shape.source import FileSource, Source
from rackwright.values.file import File
from rackwright.values.secrets import Secret


@dataclass(frozen=True)
class WebSource:
    """A file that is read by HTTP ranges; nothing is stored on disk."""

    web: Web
    url: str
    size: int
    token: Secret | None = None

    def read(self, first: int, count: int) -> bytes:
        count = min(count, self.size - first)
        if count <= 0:
            return b""
        content = self.web.part(self.url, first, count, token=self.token)
        self.web.on_progress(f"header of {self.url.rsplit('/', 1)[-1]}", first + count, None)
        return content


def model_facts(files: Iterable[File], web: Web, token: Secret | None) -> ModelFacts | None:
    """Return the facts in a model's files, or None if they can't be read now; the next lock tries again.

    The token goes only to the hub that it is for. The weights themselves are never fetched.
    """
    sources = {file.path: _source(file, web, token) for file in files}
    if not all(_as_locked(source) for source in sources.values()):
        return None
    try:
        return read_model(sources)
    except (OSError, RackwrightError):
        return None


def read_remote(files: Mapping[str, tuple[str, int]], web: Web, token: Secret | None) -> ModelShape:
    """Given path → URL and bytes of a model's files, return its shape. Raise RackwrightError on failure."""
    return read_shape({path: WebSource(web, url, size, token) for path, (url, size) in files.items()})


def _source(file: File, web: Web, token: Secret | None) -> Source:
    if file.local:
        return _LocalFile(file.local, file.size)
    return WebSource(web, file.url, file.size, token)


@dataclass(frozen=True)
class _LocalFile(FileSource):
    locked: int
    """Its size when it was locked, in bytes."""


def _as_locked(source: Source) -> bool:
    """Return whether a local file still exists with the size that it had when it was locked."""
    if not isinstance(source, _LocalFile):
        return True
    try:
        return source.size == source.locked
    except OSError:
        return False
