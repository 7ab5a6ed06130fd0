"""Files from the network or the controller; hashed after every copy, before they are put in place."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from pathlib import Path
from typing import IO, cast
from urllib.parse import quote

from pyinfra.api.command import FileUploadCommand, PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show
from rackwright.operations.facts.stored_folder import Marker, StoredFolder
from rackwright.operations.filesystem.sent_file import SentFile, UnfitFile
from rackwright.route import DIRECT, Route
from rackwright.values.file import File
from rackwright.values.secrets import Secret

MARKER = ".verified"
"""File that contains a folder's digest, written after all its files were hashed. A folder without it is recreated."""
FETCH = (Path(__file__).parent / "fetch.sh").read_text()


def incoming(root: str) -> str:
    """Return the folder below `root` into which files are fetched, each named by its sha256."""
    return f"{root}/.incoming"


def holds(folder: str, digest: str, kept: tuple[File, ...]) -> bool:
    """Return whether the folder was verified with this digest and contains exactly the files in `kept`."""
    if kept:
        return host.get_fact(StoredFolder, path=folder).holds(digest, kept)
    return host.get_fact(Marker, path=folder) == digest


@operation()
def fetched(
    *,
    what: str,
    file: File,
    root: str,
    folder: str,
    digest: str,
    kept: tuple[File, ...] = (),
    copy: str | None = None,
    route: Route,
    token: Secret | None = None,
) -> Generator[PyinfraCommand]:
    """Fetch the file below `root` and verify it, unless `folder` already has this digest.

    `kept` are all files of the folder, compared by size; empty if the folder contains an unpacked archive. `copy` is
    a folder of this host that has the controller's file; it is used in place of the controller.
    https: the host downloads, resumes an earlier download, and passes the token to curl's standard input. file: the
    controller hashes the file, and sends only the bytes that it hashed; without it, what another host's copy has been
    passed on as is used. If the sha256 is wrong, the copy is removed,
    and the operation fails with both digests.
    """
    if holds(folder, digest, kept):
        return
    show(f"{what}: {file.size / 1e9:.3f} GB from {_shown(file.url)}\n")
    yield from arriving(what, (file,), root, route, token, copy)


@operation()
def all_fetched(
    *, what: str, files: tuple[File, ...], root: str, folder: str, digest: str, copy: str | None = None, route: Route
) -> Generator[PyinfraCommand]:
    """Fetch each file below `root`, as `fetched` does, for a folder that is built from many files."""
    if holds(folder, digest, ()):
        return
    sources = sorted({_shown(file.url).rpartition("/")[0] for file in files})
    origins = "".join(f"  from {source}\n" for source in sources[:3]) + ("  …\n" if len(sources) > 3 else "")
    show(f"{what}: {len(files)} files, {sum(file.size for file in files) / 1e9:.3f} GB\n{origins}")
    yield from arriving(what, files, root, route, None, copy)


def arriving(
    what: str,
    files: tuple[File, ...],
    root: str,
    route: Route = DIRECT,
    token: Secret | None = None,
    copy: str | None = None,
) -> Generator[PyinfraCommand]:
    """Fetch each file into the folder `incoming(root)` and verify it; `copy` as for `fetched`."""
    folder = incoming(root)
    yield StringCommand(f"install -d -m 0700 -o root -g root -- {shlex.quote(folder)}")
    for file in files:
        into, name = f"{folder}/{file.sha256}", what if len(files) == 1 else f"{what} {file.path}"
        if file.local and copy:
            url = f"file://{quote(f'{copy}/{file.path}')}"
            yield _fetch(name, file, url, into, ("--proto", "=file"), None)
        elif file.local:
            yield from _sent(name, file, file.local, into)
        else:
            yield _fetch(name, file, file.url, into, route.curl_options, token)


def _sent(what: str, file: File, source: Path, into: str) -> Generator[PyinfraCommand]:
    try:
        content = SentFile(source, file)
    except UnfitFile as wrong:
        # Another host's copy may have been passed on.
        here = " || ".join(f"[ -f {shlex.quote(path)} ]" for path in (into, f"{into}.verified"))
        yield StringCommand(f"{here} || {{ printf '%s\\n' {shlex.quote(f'{what}: {wrong}')} >&2; false; }}")
        yield _fetch(what, file, "", into, (), None)
        return
    yield FileUploadCommand(cast("IO[bytes]", content), into)
    yield _fetch(what, file, "", into, (), None)


def _fetch(
    what: str, file: File, url: str, into: str, options: tuple[str, ...], token: Secret | None
) -> StringCommand:
    words = ("sh", "-c", FETCH, "fetch", what, url, into, str(file.size), file.sha256, *options)
    command = shlex.join(words)
    if token:
        return StringCommand(command, _stdin=f"Authorization: Bearer {token.reveal()}")
    return StringCommand(f"{command} </dev/null")


def _shown(url: str) -> str:
    """Return the URL without its query, which may contain a signature."""
    return url.partition("?")[0]
