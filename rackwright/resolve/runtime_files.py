"""The files of a runtime's version: an archive of llama.cpp, or the wheels of vLLM."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import RuntimeLock, runtime_question
from rackwright.fleet.lock_rules import release_url
from rackwright.fleet.sections.models import Runtime
from rackwright.fleet.source import FileSource, HubSource, WebSource, name_in, parse_source
from rackwright.resolve.local_files import local_file
from rackwright.resolve.package_index import index_of
from rackwright.resolve.web import Web
from rackwright.resolve.wheels import wheels_of_folder, wheels_of_requirements
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.roles.vllm.settings import Settings as Vllm
from rackwright.values.file import File

ARCHIVE = 4 * 2**30
"""The greatest size of a runtime's archive, in bytes."""


@dataclass(frozen=True)
class Runtimes:
    """Resolves runtimes to their files."""

    fleet: Fleet
    web: Callable[[], Web]
    """Creates the Web on first use."""

    def settle(self, runtime: Runtime, kept: RuntimeLock | None, where: str, *, reread: bool = False) -> RuntimeLock:
        """Return the entry: `kept`, if the settings are unchanged. Raise FleetError if it can't be resolved.

        With `reread`, a local build is read again in any case.
        """
        question = runtime_question(self.fleet, runtime)
        local = (runtime.build or "").startswith("file:")
        if kept and kept.question == question and not (local and reread):
            return kept
        files = self._wheels(runtime, where) if isinstance(runtime, Vllm) else (self._archive(runtime, where),)
        return question.model_copy(update={"files": files})

    def _archive(self, runtime: LlamaCpp, where: str) -> File:
        where = f"{where}.build"
        web = self.web()
        if runtime.build is None:
            url = release_url(runtime.version)
            size, sha256 = web.digest(url, limit=ARCHIVE)
            return File(path=name_in(url), size=size, sha256=sha256, url=url)
        source = _source(runtime.build)
        if isinstance(source, WebSource):
            return pinned(web, source, where)
        if isinstance(source, FileSource):
            path = self.fleet.at(source.path)
            return local_file(path, path.name, source.url, where=where, on_progress=web.on_progress)
        raise FleetError([Problem(where, "can't be used", "should be https://…#sha256=HEX or file:PATH")])

    def _wheels(self, runtime: Vllm, where: str) -> tuple[File, ...]:
        web, place = self.web(), f"{where}.build" if runtime.build else f"{where}.version"
        index = index_of(self.fleet)
        resolve = partial(wheels_of_requirements, python=runtime.python_version, index=index, where=place)
        source = _source(runtime.build) if runtime.build else None
        if runtime.build is None:
            wheels = resolve(f"vllm=={runtime.version}\n")
        elif not isinstance(source, FileSource):
            raise FleetError(
                [Problem(place, "can't be used", "should be file:PATH of a folder of wheels or a requirements file")]
            )
        elif (path := self.fleet.at(source.path)).is_dir():
            wheels = wheels_of_folder(path, source, where=place, on_progress=web.on_progress)
        else:
            wheels = resolve(_text(path, place))
        if not any(re.match(rf"vllm(_\w+)?-{re.escape(runtime.version)}[+-]", wheel.path) for wheel in wheels):
            raise FleetError(
                [
                    Problem(
                        place,
                        f"has no wheel of vLLM {runtime.version}",
                        "should contain the version in the fleet file",
                    )
                ]
            )
        return wheels


def pinned(web: Web, source: WebSource, where: str) -> File:
    """Return the file of a URL with its sha256. Raise FleetError if the URL doesn't name a file."""
    try:
        return File(path=name_in(source.url), size=web.size(source.url), sha256=source.sha256, url=source.url)
    except ValidationError:
        raise FleetError(
            [Problem(where, f"{source.url} names no file", "should be a URL with a file name at its end")]
        ) from None


def _source(text: str) -> HubSource | WebSource | FileSource | None:
    try:
        return parse_source(text)
    except ValueError:
        return None


def _text(path: Path, where: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise FleetError([Problem(where, f"{path} can't be read: {reason}")]) from None
