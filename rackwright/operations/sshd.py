"""How sshd lets people in, changed so that nobody is locked out: the old settings come back by themselves."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Generator
from pathlib import Path

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.errors import FleetError, Problem
from rackwright.operations.diff import show
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.sshd import DROP_IN, PENDING, SSHD
from rackwright.operations.filesystem.file import difference, write
from rackwright.operations.warnings import note

INCLUDE = f"Include {PENDING}"
"""The first line of our drop-in."""
_AS_PENDING = f"grep -vxF {shlex.quote(INCLUDE)} {SSHD.new}"
"""A file can't include itself."""
_FUNCTIONS = (Path(__file__).parent / "sshd.sh").read_text()


@operation()
def sshd_pending(
    *,
    content: str,
    keywords: tuple[str, ...],
    acts: bool,
    confirm_seconds: int,
    problem: Problem | None = None,
    overridden: tuple[str, ...] = (),
    opposed: tuple[str, ...] = (),
) -> Generator[PyinfraCommand]:
    """Afterwards sshd admits by `content`, for `confirm_seconds` (s) unless `sshd_confirmed` comes; then as before.

    Sessions that stand live on; at boot the old settings act. `acts` is whether sshd says already what the drop-in
    does. `keywords`, in lower case, must come out as `content` has them, or nothing changes and the operation fails,
    as it does where others changed a file that sshd hasn't read yet. With a `problem` it isn't tried. Lines of other
    files are shown: those that ours has `overridden`, and those `opposed` that win.
    """
    if problem:
        raise FleetError([problem])
    for line in opposed:
        note(line)
    found = _found(content)
    if acts and _is(found, content):
        return
    show(_change(found, content, overridden))
    yield from SSHD.begin(
        content,
        check=f"{_variables(keywords)}\n{_FUNCTIONS}\nall_read; good {SSHD.new}",
        save="save",
        act=f"{_AS_PENDING} > {PENDING} && /usr/sbin/sshd -t && says_so && reload",
        seconds=confirm_seconds,
    )


@operation()
def sshd_confirmed(*, content: str, pending: bool) -> Generator[PyinfraCommand]:
    """Afterwards the settings that act stay, and act at boot. `pending`: a change waits, or was left behind.

    Fails, and changes nothing at boot, where the old settings came back before.
    """
    if not pending and _is(_found(content), content):
        return
    digest = hashlib.sha256(content.encode()).hexdigest()
    acts = f"{_AS_PENDING} | cmp -s - {PENDING} && [ \"$(sha256sum < {SSHD.new})\" = '{digest}  -' ]"
    # It was checked when it began to act.
    commands = list(write(path=DROP_IN, content=content))
    yield SSHD.keep(acts=acts, lost="sshd: the new settings are not active, the old ones")
    yield from commands
    yield StringCommand(f"rm -f {PENDING}")


def _variables(keywords: tuple[str, ...]) -> str:
    values = {"pending": PENDING, "drop_in": DROP_IN, "include": INCLUDE, "revert": SSHD.revert}
    values["keywords"] = "|".join(keywords)
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items())


def _change(found: Found | None, content: str, overridden: tuple[str, ...]) -> str:
    if _is(found, content):
        return "sshd does something else than its drop-in says: it reads its files again"
    return "\n".join([difference(DROP_IN, found, content.encode()), *(f"overrides {line}" for line in overridden)])


def _found(content: str) -> Found | None:
    return host.get_fact(PathState, path=DROP_IN, unless=hashlib.sha256(content.encode()).hexdigest())


def _is(found: Found | None, content: str) -> bool:
    return found is not None and found.is_file and found.sha256 == hashlib.sha256(content.encode()).hexdigest()
