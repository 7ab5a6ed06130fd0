"""The fleet that was applied last, stored on the control hosts, and whether a checkout would undo it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import unified_diff
from hashlib import sha256

from rackwright.errors import LeasedError, RackwrightError
from rackwright.state.checkout import Checkout
from rackwright.state.formats import Moment, parse, stamp
from rackwright.state.shell import FOLDER, Shell, command
from rackwright.values.base import Stored
from rackwright.values.paths import RelativePath

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
        fleet_file=checkout.fleet_file, commit=checkout.commit, dirty=checkout.dirty, who=who, run=run, when=when
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


def stale_checkout(applied: Applied | None, local: Checkout) -> str | None:
    """Return the difference from the applied fleet that the operator must accept, None if nothing needs acceptance.

    Raise LeasedError if git shows that the checkout lacks the commit that was applied.
    """
    if applied is None or applied.files == local.files:
        return None
    about = applied.about
    if not about.commit or not local.commit:
        return difference(applied, local)
    if not local.contains(about.commit):
        raise LeasedError(
            f"this checkout lacks the commit {about.commit[:12]}, which {about.who} applied at {stamp(about.when)}",
            where=str(local.folder / local.fleet_file),
            should="applying this checkout would undo that change",
            next="git pull",
        )
    if not about.dirty or local.committed_since(about.commit, applied.files):
        return None
    return difference(applied, local)


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
