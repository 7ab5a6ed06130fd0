"""A file that stands only as long as somebody asks for it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Generator
from pathlib import PurePosixPath

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.filesystem.file import write
from rackwright.operations.warnings import note

_NO_DIGEST = "none"
"""Has the content of any file read."""


@operation()
def own_file(
    *, path: str, content: str | None, check: str | None = None, mark: str | None = None
) -> Generator[PyinfraCommand]:
    """Afterwards the file has this content; with None it isn't there.

    With `mark`, a file that doesn't begin with it is somebody else's, and is left alone and named. A missing folder
    is made. `check` is as in `checked_file`.
    """
    yield from own_file_commands(path=path, content=content, check=check, mark=mark)


def own_file_commands(
    *, path: str, content: str | None, check: str | None = None, mark: str | None = None
) -> Generator[PyinfraCommand]:
    """The commands of `own_file`, for operations that are one of a kind; none: nothing to do."""
    digest = hashlib.sha256(content.encode()).hexdigest() if content else _NO_DIGEST
    found = host.get_fact(PathState, path=path, unless=digest)
    if found and mark and not _is_ours(found, digest, mark):
        if content:
            note(f"{path} is the host's own, and is read in place of ours")
        return
    if content:
        written = list(write(path=path, content=content, check=check))
        if written and found is None:
            yield StringCommand(f"mkdir -p -- {shlex.quote(str(PurePosixPath(path).parent))}")
        yield from written
    elif found:
        show(f"- {path}")
        yield StringCommand(f"rm -rf --one-file-system -- {shlex.quote(path)}")


def _is_ours(found: Found, digest: str, mark: str) -> bool:
    return found.sha256 == digest or (found.content or b"").startswith(mark.encode())
