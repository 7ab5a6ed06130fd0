"""A file that is replaced atomically: checked first, then renamed."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Generator
from io import BytesIO

from pyinfra.api.command import FileUploadCommand, PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import HIDDEN, show, unified
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.values.secrets import Secret

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
    folder: bool = False,
) -> Generator[PyinfraCommand]:
    """Ensure that the file has this content, mode and owner. If the operation fails, the file is unchanged.

    `check` is a shell command that fails if the content is bad; {path} in it is replaced by the new file's temporary
    name. Content that is a Secret, or is marked `secret`, is neither read back nor shown. With `folder`, the file's
    folder, such as sysctl.d, is created if it is missing.
    """
    steps = list(write(path=path, content=content, mode=mode, user=user, group=group, check=check, secret=secret))
    if steps and folder:
        yield StringCommand("mkdir -p --", QuoteString(path.rpartition("/")[0]))
    yield from steps


@operation()
def kept_file(*, path: str, mode: str = "0644", user: str = "root", group: str = "root") -> Generator[PyinfraCommand]:
    """Ensure that the file exists with this mode and owner. A new file is empty; existing content stays."""
    found = host.get_fact(PathState, path=path)
    if found is None:
        own = f"-m {shlex.quote(mode)} -o {shlex.quote(user)} -g {shlex.quote(group)}"
        yield StringCommand(f"install {own} -- /dev/null {shlex.quote(path)}")
    elif (found.mode, found.user, found.group) != (int(mode, 8), user, group):
        yield StringCommand(_own(path, mode, user, group))


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
    """Yield the commands of `checked_file`, for operations that do other things, too; none if nothing is to do."""
    secret = secret or isinstance(content, Secret)
    wanted = _bytes(content)
    digest = hashlib.sha256(wanted).hexdigest()
    found = host.get_fact(PathState, path=path, unless=None if secret else digest)
    if found and found.is_file and found.sha256 == digest:
        if (found.mode, found.user, found.group) != (int(mode, 8), user, group):
            show(f"{path}: {found.mode:04o} {found.user}:{found.group} becomes {mode} {user}:{group}")
            yield StringCommand(_own(path, mode, user, group))
        return
    show(HIDDEN if secret else difference(path, found, wanted))
    new = path + SUFFIX
    yield FileUploadCommand(BytesIO(wanted), new)
    steps = [_own(new, mode, user, group)]
    steps += [check.replace("{path}", shlex.quote(new))] if check else []
    # The file gets the time of the rename, so that unit.running sees that a unit was started before it.
    steps += [f"touch -- {shlex.quote(new)}", f"mv -fT -- {shlex.quote(new)} {shlex.quote(path)}"]
    yield StringCommand(f"{{ {' && '.join(steps)}; }} || {{ rm -f -- {shlex.quote(new)}; false; }}")


def _bytes(content: Content) -> bytes:
    text = content.reveal() if isinstance(content, Secret) else content
    return text.encode() if isinstance(text, str) else text


def _own(path: str, mode: str, user: str, group: str) -> str:
    quoted = shlex.quote(path)
    return f"chown -- {shlex.quote(user)}:{shlex.quote(group)} {quoted} && chmod -- {shlex.quote(mode)} {quoted}"


def difference(path: str, found: Found | None, wanted: bytes) -> str:
    """Return the unified diff between the file at a path and the wanted content, or why there is none."""
    if found and found.content is None:
        return f"{path}: {found.kind} is replaced"
    try:
        old = found.content.decode() if found and found.content is not None else None
        return unified(path, old, wanted.decode()) or f"{path}: line ends differ"
    except UnicodeDecodeError:
        return f"{path}: binary content differs"
