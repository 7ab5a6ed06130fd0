"""Shapes and chat templates of models for the lock: from files on this machine, or by ranges over the network."""

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
    """A file that is read by ranges; nothing is kept on disk."""

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
    """Given a model's files, return what they tell of it; the token goes only where it is given for.

    None: they can't be read now, so the lock does without and the next one tries again. Weights are never fetched.
    """
    sources = {file.path: _source(file, web, token) for file in files}
    if not all(_as_locked(source) for source in sources.values()):
        return None
    try:
        return read_model(sources)
    except (OSError, RackwrightError):
        return None


def read_remote(files: Mapping[str, tuple[str, int]], web: Web, token: Secret | None) -> ModelShape:
    """Given path → URL and bytes of a model's files, return its shape. Raise RackwrightError without an answer."""
    return read_shape({path: WebSource(web, url, size, token) for path, (url, size) in files.items()})


def _source(file: File, web: Web, token: Secret | None) -> Source:
    if file.local:
        return _LocalFile(file.local, file.size)
    return WebSource(web, file.url, file.size, token)


@dataclass(frozen=True)
class _LocalFile(FileSource):
    locked: int
    """Bytes that it had when it was locked."""


def _as_locked(source: Source) -> bool:
    """Whether a file of this machine is there as it was locked, as far as its size tells."""
    if not isinstance(source, _LocalFile):
        return True
    try:
        return source.size == source.locked
    except OSError:
        return False
