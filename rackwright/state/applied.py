"""The fleet that was applied last, stored on the control hosts, and whether a checkout would undo it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import unified_diff
from hashlib import sha256
from pathlib import PurePosixPath

from rackwright.errors import LeasedError, RackwrightError
from rackwright.state.checkout import Checkout
from rackwright.state.formats import Moment, parse, stamp
from rackwright.state.shell import FOLDER, Shell, command
from rackwright.values.base import Stored
from rackwright.values.paths import RelativePath
from rackwright.values.text import Sha256

_ABOUT = "applied.json"

# Between the two renames only fleet.old exists, so _READ looks for it, too.
_WRITE = """set -eu
umask 077
mkdir -p -- "$1"
cd -- "$1"
exec 9>fleet.lock
flock -w 20 9
rm -rf fleet.new
mkdir fleet.new
tar -x --no-same-owner -f - -C fleet.new
find fleet.new -exec sync -- {} +
if [ -d fleet ]; then rm -rf fleet.old; mv -T fleet fleet.old; fi
mv -T fleet.new fleet
sync .
rm -rf fleet.old
"""
_READ = """set -eu
cd -- "$1/fleet" 2>/dev/null || cd -- "$1/fleet.old" 2>/dev/null || exit 0
tar -c -f - .
"""


class About(Stored):
    """The content of applied.json, which is stored next to the files."""

    format: str = "applied/1"
    fleet_file: RelativePath
    commit: str | None = None
    dirty: bool = False
    """Whether the files differ from the commit."""
    only_lock: bool = False
    """Whether only the lock differs from it, because a run has promoted it."""
    inside: RelativePath | None = None
    """The fleet file's path inside its git repository; None: it isn't in one, or an earlier rackwright applied it."""
    replaced: tuple[Sha256, ...] = ()
    """sha256 of the lock files that runs have replaced, the latest last."""
    who: str
    run: str
    when: Moment


@dataclass(frozen=True)
class Applied:
    about: About
    files: Mapping[str, bytes]


def applied_from(checkout: Checkout, *, who: str, run: str, when: datetime) -> Applied:
    """Given the checkout that was applied, return what the control hosts must store."""
    about = About(
        fleet_file=checkout.fleet_file,
        commit=checkout.commit,
        dirty=checkout.dirty,
        inside=checkout.inside,
        who=who,
        run=run,
        when=when,
    )
    return Applied(about, checkout.files)


def write_applied(shell: Shell, applied: Applied, *, folder: str = FOLDER) -> None:
    """Store these files on the control host, in place of earlier ones. Raise HostError if they can't be written."""
    shell.run(command(_WRITE, folder), stdin=_packed(applied)).check("storing the applied fleet")


def read_applied(shell: Shell, *, folder: str = FOLDER) -> Applied | None:
    """Return what was applied last, None if nothing was. Raise RackwrightError if it is damaged or too new."""
    packed = shell.run(command(_READ, folder)).check("reading the applied fleet").stdout_bytes
    if not packed:
        return None
    return applied_of(packed, f"{shell.name}: {folder}/fleet")


def applied_of(packed: bytes, where: str) -> Applied:
    """Return the fleet in a tar of a control host's folder. Raise RackwrightError if it is damaged or too new."""
    files = unpacked(packed, where)
    about = about_of(files, where)
    return Applied(about, {name: content for name, content in files.items() if name != _ABOUT})


def about_of(files: Mapping[str, bytes], where: str) -> About:
    """Return what applied.json among the stored files says. Raise RackwrightError if it is damaged or too new."""
    return parse(About, "applied", files.get(_ABOUT, b"").decode(errors="replace"), f"{where}/{_ABOUT}")


def lock_in(files: Applied | Checkout) -> bytes | None:
    """Return the lock among the files, None if there is none."""
    fleet_file = files.about.fleet_file if isinstance(files, Applied) else files.fleet_file
    return files.files.get(_lock_name(fleet_file))


def _lock_name(fleet_file: str) -> str:
    return str(PurePosixPath(fleet_file).with_suffix(".lock"))


def stale_checkout(applied: Applied | None, local: Checkout, *, ours: bool = False) -> str | None:
    """Return the difference from the applied fleet that the operator must accept, None if nothing needs acceptance.

    `ours`: these files were the applied ones, so that any difference is a later edit. Raise LeasedError if git shows
    that the checkout lacks the commit that was applied, or if its lock is one that a run has replaced.
    """
    if applied is None or applied.files == local.files:
        return None
    about = applied.about
    if about.commit and local.commit and not local.contains(about.commit):
        raise LeasedError(
            f"this checkout lacks the commit {about.commit[:12]}, which {about.who} applied at {stamp(about.when)}",
            where=str(local.folder / local.fleet_file),
            should="applying this checkout would undo that change",
            next="git pull",
        )
    if not ours:
        _refuse_former_lock(applied, local)
    if not about.commit or not local.commit:
        return difference(applied, local)
    return None if _newer(applied, local, about.commit) else difference(applied, local)


def _newer(applied: Applied, local: Checkout, commit: str) -> bool:
    """Return whether git shows that the checkout, which contains the commit, has everything that was applied."""
    if not applied.about.dirty:
        return True
    if applied.about.only_lock:
        return lock_in(local) == lock_in(applied) or _has_had_lock(applied, local)
    return local.committed_since(commit, applied.files)


def _refuse_former_lock(applied: Applied, local: Checkout) -> None:
    lock, about = lock_in(local), applied.about
    if lock is None or sha256(lock).hexdigest() not in about.replaced or _has_had_lock(applied, local):
        return
    raise LeasedError(
        f"this lock was replaced by one that {about.who} applied at {stamp(about.when)} (run {about.run})",
        where=str(local.folder / _lock_name(local.fleet_file)),
        should="applying this one would undo what the other brought",
        next="rackwright lock --applied",
    )


def _has_had_lock(applied: Applied, local: Checkout) -> bool:
    """Return whether a commit of the checkout has the applied lock: if it has another one now, that is newer."""
    commit, lock = applied.about.commit, lock_in(applied)
    if lock is None or not commit or not local.commit:
        return False
    # A run that promoted the lock didn't commit it, and after a rollback the commit's own lock is the applied one.
    itself = not applied.about.dirty
    return local.committed_since(commit, {_lock_name(applied.about.fleet_file): lock}, itself=itself)


def difference(applied: Applied, local: Checkout) -> str:
    """Return a unified diff from the applied files to those of the checkout."""
    parts: list[str] = []
    for name in sorted({*applied.files, *local.files}):
        before, after = (_lines(files.get(name, b"")) for files in (applied.files, local.files))
        parts += unified_diff(before, after, f"applied/{name}", f"checkout/{name}", lineterm="")
    return "\n".join(parts)


def _lines(content: bytes) -> list[str]:
    """Return the file's lines; for a binary file, one line that identifies its content."""
    try:
        return content.decode().splitlines()
    except UnicodeDecodeError:
        return [f"binary file: {len(content)} bytes, SHA-256 {sha256(content).hexdigest()}"]


def _packed(applied: Applied) -> bytes:
    about = applied.about.model_dump_json(indent=1) + "\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in {**applied.files, _ABOUT: about.encode()}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def unpacked(packed: bytes, where: str) -> dict[str, bytes]:
    """Return the files of a tar by name; links and devices are left out. Raise RackwrightError if it is damaged."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content:
                    files[member.name.removeprefix("./")] = content.read()
    except tarfile.TarError as error:
        raise RackwrightError(f"the applied fleet is damaged: {error}", where=where) from None
    return files
