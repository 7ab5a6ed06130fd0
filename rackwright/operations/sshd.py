"""sshd's login settings. The old settings return automatically, so a wrong change locks no one out."""

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
from rackwright.operations.plan_notes import note

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
    """Activate `content` for `confirm_seconds` (s); then the old settings return unless `sshd_confirmed` runs first.

    Open sessions stay; until the confirmation, a boot uses the old settings. `acts`: sshd already reports the
    drop-in's settings. The effective settings of `keywords`, in lower case, must be those in `content`. If they
    aren't, or if someone changed a file that sshd hasn't read yet, the operation fails and changes nothing. With a
    `problem`, it fails at once. Lines of other files are shown: those that ours override (`overridden`), and those
    that override ours (`opposed`).
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
    """Keep the active settings, also at boot. `pending`: a change waits for confirmation, or was left unconfirmed.

    Fails, and changes nothing at boot, if the old settings have already returned.
    """
    if not pending and _is(_found(content), content):
        return
    digest = hashlib.sha256(content.encode()).hexdigest()
    acts = f"{_AS_PENDING} | cmp -s - {PENDING} && [ \"$(sha256sum < {SSHD.new})\" = '{digest}  -' ]"
    # The content was checked when it was activated.
    commands = list(write(path=DROP_IN, content=content))
    yield SSHD.keep(acts=acts, lost="sshd: the new settings are not active; the old ones")
    yield from commands
    yield StringCommand(f"rm -f {PENDING}")


def _variables(keywords: tuple[str, ...]) -> str:
    values = {"pending": PENDING, "drop_in": DROP_IN, "include": INCLUDE, "revert": SSHD.revert}
    values["keywords"] = "|".join(keywords)
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items())


def _change(found: Found | None, content: str, overridden: tuple[str, ...]) -> str:
    if _is(found, content):
        return "sshd's active settings differ from its drop-in: sshd reads its files again"
    return "\n".join([difference(DROP_IN, found, content.encode()), *(f"overrides {line}" for line in overridden)])


def _found(content: str) -> Found | None:
    return host.get_fact(PathState, path=DROP_IN, unless=hashlib.sha256(content.encode()).hexdigest())


def _is(found: Found | None, content: str) -> bool:
    return found is not None and found.is_file and found.sha256 == hashlib.sha256(content.encode()).hexdigest()
