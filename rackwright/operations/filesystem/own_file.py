"""A file that exists only as long as a setting asks for it."""

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
from rackwright.operations.plan_notes import note

_NO_DIGEST = "none"
"""Matches no file, so the content of any file is read."""


@operation()
def own_file(
    *, path: str, content: str | None, check: str | None = None, mark: str | None = None
) -> Generator[PyinfraCommand]:
    """Ensure that the file has this content, or, with None, that it doesn't exist.

    With `mark`, a file that doesn't start with it isn't ours: it is left alone, with a note. A missing folder is
    created. `check` is the same as in `checked_file`.
    """
    yield from own_file_commands(path=path, content=content, check=check, mark=mark)


def own_file_commands(
    *, path: str, content: str | None, check: str | None = None, mark: str | None = None
) -> Generator[PyinfraCommand]:
    """Yield the commands of `own_file`, for other operations; none if there is nothing to do."""
    digest = hashlib.sha256(content.encode()).hexdigest() if content else _NO_DIGEST
    found = host.get_fact(PathState, path=path, unless=digest)
    if found and mark and not _is_ours(found, digest, mark):
        if content:
            note(f"{path} is not from rackwright, and is used instead of rackwright's")
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
