"""The fleet's kit: what describes it inside its snapshot, and the control hosts' record of where it was saved."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, StringConstraints

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.remote.answers import read_answer
from rackwright.state.applied import About, Applied, stale_checkout
from rackwright.state.checkout import Checkout, checkout, head_of
from rackwright.state.formats import Moment, NewerFormat, parse
from rackwright.state.last_local_apply import last_applied_from
from rackwright.state.record import WRITE
from rackwright.state.shell import FOLDER, Shell, call
from rackwright.values.base import Stored
from rackwright.values.paths import RelativePath
from rackwright.values.text import Line, Name

NAME = "kit.json"
QUESTION = f"""cd {FOLDER} 2>/dev/null || exit 0
for f in {NAME} fleet/applied.json; do
  if [ -f "$f" ]; then tr -d '\\n' <"$f"; fi
  echo
done
"""
"""Prints the record of the kit, and what was applied last: a line each, empty if there is none."""

# $1: folder, $2: the claim's token. The claim of a run that was killed is void after five minutes, by this host's
# clock; also if that clock was set back since.
_CLAIM = """set -eu
umask 022
mkdir -p -- "$1"
cd -- "$1"
exec 9>kit.lock
flock -w 20 9
since=$(stat -c %Y kit.claim 2>/dev/null) || since=0
age=$(($(date +%s) - since))
if [ "$age" -gt -300 ] && [ "$age" -lt 300 ]; then
  echo taken
else
  printf '%s\\n' "$2" >kit.claim
  echo claimed
fi
"""
_RELEASE = """set -eu
cd -- "$1"
exec 9>kit.lock
flock -w 20 9
if [ "$(cat kit.claim 2>/dev/null)" = "$2" ]; then rm -f kit.claim; fi
"""
_CLAIM_TRIES = 60
Read = TypeVar("Read", bound=Stored)
_Hex = Annotated[str, StringConstraints(pattern="^[0-9a-f]{8,64}$")]
_Count = Annotated[int, Field(ge=0, lt=2**63)]


class SecretPlace(Stored):
    where: Line
    """The key of the fleet file."""
    reference: Line
    """Where the secret is; never the secret itself."""


class KitContents(Stored):
    """The content of references.json, in the kit itself."""

    format: str = "kit/1"
    fleet: Line
    fleet_file: RelativePath
    """Its path inside the kit."""
    commit: str | None = None
    """git's HEAD when it was saved; None: the fleet file isn't in git."""
    who: str
    when: Moment
    rackwright: str
    """The version that saved it."""
    with_ca_key: bool
    files: _Count
    """How many files the kit has, without this one: a snapshot with fewer is incomplete."""
    left_out: tuple[str, ...] = ()
    """What isn't in it, and why."""
    references: tuple[SecretPlace, ...] = ()
    """Every secret that the fleet file refers to."""


class SavedKit(Stored):
    """The last good kit in one repository."""

    repository: _Hex
    """restic's id of the repository."""
    snapshot: _Hex
    when: Moment
    files: _Count
    bytes: _Count
    digest: str
    """What `kit_digest` returned for the files that it holds."""
    applied: str | None = None
    """The run of the last apply, if the kit holds the files of that apply."""
    with_ca_key: bool
    last_with_ca_key: Moment | None = None
    """When the last kit with the CA's key was saved there."""


class KitRecord(Stored):
    format: str = "saved-kit/1"
    at: Mapping[Name, SavedKit] = {}
    """By repository of the fleet file."""


@dataclass(frozen=True)
class KnownKit:
    """What a control host knows about the kit."""

    record: KitRecord = field(default_factory=KitRecord)
    applied: str | None = None
    """The run of the last apply; None: unknown, or nothing was applied yet."""


def parse_kit(output: str, where: str) -> KnownKit:
    """Parse the output of QUESTION. A damaged record counts as none: the next kit replaces it.

    Raise NewerFormat if a newer rackwright wrote one.
    """
    kit, _, applied = output.partition("\n")
    about = _parsed(About, "applied", applied.strip(), where)
    record = _parsed(KitRecord, "saved-kit", kit, where)
    return KnownKit(record or KitRecord(), about.run if about else None)


def _parsed(model: type[Read], kind: str, text: str, where: str) -> Read | None:
    try:
        return parse(model, kind, text, where) if text else None
    except NewerFormat:
        raise
    except RackwrightError:
        return None


def newest(known: Iterable[KnownKit]) -> KnownKit:
    """Given what the control hosts know, the first one's before the others', return the newest of each repository."""
    every = tuple(known)
    at: dict[str, SavedKit] = {}
    for name, saved in (entry for one in every for entry in one.record.at.items()):
        if name not in at or saved.when > at[name].when:
            at[name] = saved
    return KnownKit(KitRecord(at=at), every[0].applied if every else None)


def read_kit(shell: Shell) -> KnownKit:
    """Ask a control host. Raise HostError if it can't be asked, NewerFormat as `parse_kit` does."""
    return parse_kit(shell.run(QUESTION).check("reading the record of the kit").stdout, shell.name)


def write_kit(shell: Shell, record: KitRecord) -> None:
    """Write the record to a control host's disk. Raise HostError if it can't be written."""
    content = record.model_dump_json(indent=1, exclude_none=True) + "\n"
    call(shell, WRITE, FOLDER, NAME, stdin=content, what="writing the record of the kit")


@contextmanager
def claimed(shell: Shell) -> Iterator[None]:
    """Keep other operators from doing the same during the block. A claim that its operator left ends after minutes.

    Raise HostError if the control host can't be asked, or if another operator has the claim for too long.
    """
    token = secrets.token_hex(16)
    for _ in range(_CLAIM_TRIES):
        if call(shell, _CLAIM, FOLDER, token, what="claiming the kit").strip() == "claimed":
            break
        time.sleep(1)
    else:
        raise HostError("another operator is making the kit's repository", where=shell.name, should="try again later")
    try:
        yield
    finally:
        # The claim ends after minutes anyway, and an error of the block matters more.
        with suppress(HostError):
            call(shell, _RELEASE, FOLDER, token, what="releasing the kit")


def control_time(shell: Shell) -> datetime:
    """Return the time by the control host's clock. Raise HostError if it can't be asked."""
    answer = call(shell, "date +%s\n", what="asking for the time")
    return read_answer(shell.name, "the time", _moment, answer)


def _moment(text: str) -> datetime:
    if not re.fullmatch("[0-9]{1,11}\n?", text):
        raise ValueError("should be seconds")
    return datetime.fromtimestamp(int(text), UTC)


def parse_contents(text: str, where: str) -> KitContents:
    """Parse references.json. Raise RackwrightError if it is damaged or of a newer format."""
    return parse(KitContents, "kit", text, where)


def kit_digest(fleet: Fleet) -> str:
    """Return a digest of what the kit should hold: the fleet's files, its golden sets, and git's HEAD.

    Raise OSError if a file can't be read.
    """
    local, folder = checkout(fleet), fleet.path.parent
    parts = {**local.files, **{f"golden/{path}": path.read_bytes() for path in golden_files(fleet)}}
    digest = sha256((head_of(folder) or "").encode())
    for name, content in sorted(parts.items()):
        digest.update(f"\0{name}\0{sha256(content).hexdigest()}".encode())
    return digest.hexdigest()


def golden_files(fleet: Fleet) -> tuple[Path, ...]:
    """Return the golden sets that the fleet file names and that exist."""
    return tuple(path for path in dict.fromkeys(_golden(fleet)) if path.is_file())


def _golden(fleet: Fleet) -> Iterator[Path]:
    for model in fleet.file.models.values():
        if model.canary and model.canary.golden:
            yield fleet.at(model.canary.golden)


def held(applied: Applied | None, local: Checkout, fleet: Fleet) -> str | None:
    """Return the run that was applied last if these files include that work; None: unknown, or nothing was applied.

    Keys may have changed since. Raise LeasedError if git shows that the checkout lacks the commit that was applied.
    """
    if applied is None:
        return None
    run, keys = applied.about.run, f"{fleet.path.stem}.keys.yml"
    if _without(applied.files, keys) == _without(local.files, keys):
        return run
    # The last apply ran on this machine: any difference is a later local edit.
    ours = run == last_applied_from(fleet.path)
    try:
        difference = stale_checkout(applied, local, ours=ours)
    except LeasedError as error:
        raise error.but(
            should="a kit of these files would lack that change",
            next=f"{error.problems[0].next}, then rackwright backup kit",
        ) from None
    return run if difference is None or ours else None


def _without(files: Mapping[str, bytes], keys: str) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name.rpartition("/")[2] != keys}
