"""A file that is whole or not there: checked before it takes its place, renamed into it."""

from __future__ import annotations

import difflib
import hashlib
import shlex
from collections.abc import Generator
from io import BytesIO

from pyinfra.api.command import FileUploadCommand, PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diffs import show
from rackwright.operations.facts.path import Found, PathState
from rackwright.values import Secret

Content = str | bytes | Secret
SUFFIX = ".rackwright-new"


@operation()
def checked_file(
    *,
    path: str,
    content: Content,
    mode: str = "0644",
    user: str = "root",
    group: str = "root",
    check: str | None = None,
    secret: bool = False,
) -> Generator[PyinfraCommand]:
    """Afterwards the file has this content, mode and owner, or is as it was and the operation failed.

    `check` is a shell command in which {path} stands for the new file, still under another name; it fails where
    the content is not good. Content that is a Secret, or with `secret`, is never read back nor shown.
    """
    yield from write(path=path, content=content, mode=mode, user=user, group=group, check=check, secret=secret)


def write(
    *,
    path: str,
    content: Content,
    mode: str = "0644",
    user: str = "root",
    group: str = "root",
    check: str | None = None,
    secret: bool = False,
) -> Generator[PyinfraCommand]:
    """The commands of `checked_file`, for operations that write a file among other things; none: nothing to do."""
    secret = secret or isinstance(content, Secret)
    wanted = _bytes(content)
    found = host.get_fact(PathState, path=path, content=not secret)
    if found and found.is_file and found.sha256 == hashlib.sha256(wanted).hexdigest():
        if (found.mode, found.user, found.group) != (int(mode, 8), user, group):
            show(f"{path}: {found.mode:04o} {found.user}:{found.group} becomes {mode} {user}:{group}\n")
            yield StringCommand(_own(path, mode, user, group))
        return
    show(f"{path}: content differs\n" if secret else _difference(path, found, wanted))
    new = path + SUFFIX
    yield FileUploadCommand(BytesIO(wanted), new)
    steps = [_own(new, mode, user, group)]
    steps += [check.replace("{path}", shlex.quote(new))] if check else []
    # The time of the rename is the file's: a unit started before it runs on older content (see unit.running).
    steps += [f"touch -- {shlex.quote(new)}", f"mv -fT -- {shlex.quote(new)} {shlex.quote(path)}"]
    yield StringCommand(f"{{ {' && '.join(steps)}; }} || {{ rm -f -- {shlex.quote(new)}; false; }}")


def _bytes(content: Content) -> bytes:
    text = content.reveal() if isinstance(content, Secret) else content
    return text.encode() if isinstance(text, str) else text


def _own(path: str, mode: str, user: str, group: str) -> str:
    quoted = shlex.quote(path)
    return f"chown -- {shlex.quote(user)}:{shlex.quote(group)} {quoted} && chmod -- {shlex.quote(mode)} {quoted}"


def _difference(path: str, found: Found | None, wanted: bytes) -> str:
    if found and found.content is None:
        return f"{path}: {found.kind} is replaced\n"
    try:
        old = (found.content or b"").decode() if found else ""
        new = wanted.decode()
    except UnicodeDecodeError:
        return f"{path}: binary content differs\n"
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), path if found else "/dev/null", path
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
