"""What a lock must be in itself: digests that match its files, and files that follow from their source.

A change of the lock alone must not decide what the controller sends or the hosts download.
`lock_file.mismatches` compares the sources themselves with the fleet file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from rackwright.fleet.lock import DriverLock, Lock, ModelLock, RuntimeLock, SourceLock, ToolLock, model_digest
from rackwright.fleet.source import FileSource, HubSource, WebSource, name_in, parse_source
from rackwright.roles.model_store.settings import PLAIN, is_plain, refusal
from rackwright.values.file import LOCAL, File

HTTPS = "https://"
RELEASES = "https://github.com/ggml-org/llama.cpp/releases/download"

_COMMIT = "[0-9a-f]{40}"

Source = HubSource | WebSource | FileSource
Fault = tuple[str, str]
"""The place in the lock, with dots, and what is wrong."""


def release_url(version: str) -> str:
    """Return the URL of the project's own Linux x64 build of a llama.cpp release."""
    return f"{RELEASES}/{version}/llama-{version}-bin-ubuntu-x64.tar.gz"


def faults(lock: Lock) -> Iterator[Fault]:
    """Yield each place that `rackwright lock` can't have written."""
    for place, source in _sources(lock):
        if source.digest != model_digest(source.files):
            yield place, "digest doesn't match its files"
        yield from _source(place, source)
    for name, model in lock.models.items():
        if model.previous and model.previous.previous:
            yield f"models.{name}.previous", "has a previous entry of its own"
    for key, runtime in lock.runtimes.items():
        yield from _runtime(f"runtimes.{key}", key, runtime)
    for name, driver in lock.drivers.items():
        yield from _driver(f"drivers.{name}", name, driver)
    if lock.tool:
        yield from _tool("tool", lock.tool)


def _sources(lock: Lock) -> Iterator[tuple[str, SourceLock]]:
    """Yield each source with a digest, with its place."""
    for name, model in lock.models.items():
        yield from _sources_of(f"models.{name}", model)
        if model.previous:
            yield from _sources_of(f"models.{name}.previous", model.previous)


def _sources_of(place: str, model: ModelLock) -> Iterator[tuple[str, SourceLock]]:
    yield place, model
    for served, adapter in model.adapters.items():
        yield f"{place}.adapters.{served}", adapter


def _source(place: str, locked: SourceLock) -> Iterator[Fault]:
    source = parse_source(locked.source)
    if not locked.files:
        yield f"{place}.files", "is empty"
    if isinstance(source, HubSource):
        yield from _commit(place, source, locked)
    for number, file in enumerate(locked.files):
        where = f"{place}.files.{number}"
        if not is_plain(file.path):
            yield where, f"{file.path}: {PLAIN}"
        elif refused := refusal(file.path, file.size):
            yield where, refused
        if isinstance(source, WebSource) and file.sha256 != source.sha256:
            yield where, f"{file.path} has sha256 {file.sha256}, but its source says {source.sha256}"
        yield from _follows(where, source, locked.revision or "", file)


def _commit(place: str, source: HubSource, locked: SourceLock) -> Iterator[Fault]:
    if not re.fullmatch(_COMMIT, locked.revision or ""):
        yield f"{place}.revision", f"is {locked.revision}, should be a commit of 40 hexadecimal digits"
    elif re.fullmatch(_COMMIT, source.revision) and locked.revision != source.revision:
        yield f"{place}.revision", f"is {locked.revision}, but its source asks for {source.revision}"


def _follows(place: str, source: Source, commit: str, file: File) -> Iterator[Fault]:
    if isinstance(source, HubSource):
        yield from _url(place, file, source.url(_hub_of(source, file.url), commit, file.path))
    elif isinstance(source, WebSource):
        yield from _download(place, file, source.url)
    elif file.url != source.url_below(file.path):
        is_file = source.path.rstrip("/").rpartition("/")[2] == file.path
        yield from _url(place, file, source.url if is_file else source.url_below(file.path))


def _hub_of(source: HubSource, url: str) -> str:
    """Return the hub in a URL. `lock_file.mismatches` compares it with the fleet file's."""
    hub, found, _ = url.partition(f"/{source.repository}/resolve/")
    return hub if found and hub.startswith(HTTPS) else f"{HTTPS}HUB"


def _download(place: str, file: File, url: str) -> Iterator[Fault]:
    yield from _url(place, file, url)
    if file.path != name_in(url):
        yield f"{place}.path", f"is {file.path}, should be {name_in(url)}, the name in its URL"


def _url(place: str, file: File, expected: str) -> Iterator[Fault]:
    if file.url != expected:
        yield f"{place}.url", f"of {file.path} is {file.url}, should be {expected}, as its source says"


def _runtime(place: str, key: str, runtime: RuntimeLock) -> Iterator[Fault]:
    if key != f"{runtime.kind}-{runtime.version}":
        yield place, f"is {runtime.kind}-{runtime.version}, not {key}"
    if runtime.kind == "llama_cpp" and len(runtime.files) != 1:
        yield f"{place}.files", f"are {len(runtime.files)}, should be one archive"
    try:
        source = parse_source(runtime.build) if runtime.build else None
    except ValueError as error:
        yield f"{place}.build", f"is {runtime.build}; {error}"
        return
    for number, file in enumerate(runtime.files):
        where = f"{place}.files.{number}"
        if runtime.kind == "vllm":
            yield from _wheel(where, source, file)
        elif isinstance(source, WebSource) and file.sha256 != source.sha256:
            yield where, f"{file.path} has sha256 {file.sha256}, but its build says {source.sha256}"
        elif isinstance(source, FileSource):
            yield from _url(where, file, source.url)
        else:
            url = source.url if isinstance(source, WebSource) else release_url(runtime.version)
            yield from _download(where, file, url)


def _wheel(place: str, source: object, file: File) -> Iterator[Fault]:
    """A wheel comes from the folder in the fleet file, or from any server that a package index names."""
    if not file.path.endswith(".whl") or "/" in file.path:
        yield place, f"{file.path} is not the name of a wheel"
    if isinstance(source, FileSource) and file.url.startswith(LOCAL):
        yield from _url(place, file, source.url_below(file.path))
    elif not file.url.startswith(HTTPS) or name_in(file.url) != file.path:
        yield f"{place}.url", f"of {file.path} is {file.url}, should be https://… with {file.path} at its end"


def _tool(place: str, tool: ToolLock) -> Iterator[Fault]:
    if not tool.version.endswith(f"+{tool.digest[:8]}"):
        yield f"{place}.digest", f"doesn't begin like that of {tool.version}"
    for number, file in enumerate(tool.files):
        yield from _wheel(f"{place}.files.{number}", None, file)


def _driver(place: str, name: str, driver: DriverLock) -> Iterator[Fault]:
    if name != driver.name:
        yield place, "digest doesn't match its files"
    folder = next((word[5:] for word in driver.question.split() if word.startswith("path=/")), None)
    for package in (*driver.packages, *driver.cuda):
        # Packages are verified by sha256 and may come by plain HTTP, as from Debian's archives.
        allowed = (HTTPS, "http://", *((f"{LOCAL}//{folder}/",) if folder else ()))
        if not package.url.startswith(allowed) or ".." in unquote(package.url).split("/"):
            should = f"should begin with {' or '.join(allowed)}, without .."
            yield place, f"{package.name} has the URL {package.url}, {should}"
