"""Fetch a fleet's kit from a repository: all that a controller needs that has nothing else."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rackwright.errors import HostError, ProofError, RackwrightError, UsageError
from rackwright.fleet.sections.backup import KIT
from rackwright.fleet.x509 import is_key_of, load_key
from rackwright.lifecycle.backup.kit_content import CA_KEY, REFERENCES
from rackwright.lifecycle.backup.kit_forget import is_kit
from rackwright.lifecycle.backup.kit_repository import WITH_CA_KEY
from rackwright.lifecycle.backup.repository_url import refuse_bad_url
from rackwright.lifecycle.backup.restic_here import NO_REPOSITORY, WRONG_PASSWORD, Restic, restic_here
from rackwright.lifecycle.backup.snapshot_list import false_date, read_list
from rackwright.lifecycle.backup.snapshots import Snapshot
from rackwright.lifecycle.restore.kit_files import disarm_git, read_plain, take_over
from rackwright.lifecycle.restore.kit_size import STATS, refuse_large
from rackwright.lifecycle.session.console import Console
from rackwright.remote.completed import CommandTimeout, Completed
from rackwright.roles.backup.settings import Access, Repository
from rackwright.state.formats import NewerFormat, stamp, utc_now
from rackwright.state.kit import KitContents, parse_contents
from rackwright.values.secrets import Secret

_SECONDS = 3600
_MOST_BYTES = 16 << 20
"""Of references.json."""
_MOST_PEM = 1 << 16
_ID = re.compile("[0-9a-f]{64}")
_RESTORED = "kit"
_NEXT = "the same command with another --from"


@dataclass(frozen=True)
class KitPlace:
    """Where a kit is, and what opens it."""

    repository: Repository
    access: Access


def kit_at(
    url: str, password: Secret, *, user: str | None = None, login: Secret | None = None, ca_pem: str | None = None
) -> KitPlace:
    """Return the place of the kit at a URL as restic writes it; with or without the last part, kit.

    Raise UsageError if it isn't the URL of a repository.
    """
    refuse_bad_url(kit_url(url), "--from")
    repository = Repository(name=KIT, url=kit_url(url), user=user, own_ca=ca_pem is not None)
    return KitPlace(repository, Access(password, login=login, ca_pem=ca_pem))


def kit_url(url: str) -> str:
    """Return the URL of the kit's repository, given that, or the URL that the fleet file has."""
    base = url.rstrip("/")
    return base if base.endswith(f"/{KIT}") else f"{base}/{KIT}"


@dataclass(frozen=True)
class FetchedKit:
    folder: Path
    fleet_file: Path
    snapshot: Snapshot
    contents: KitContents
    key_of: Snapshot | None
    """The kit that its CA key is from; None: there is no key."""


@dataclass(frozen=True)
class _Source:
    restic: Restic
    url: str
    console: Console
    passed_over: list[str]

    def pass_over(self, snapshot: Snapshot, why: str) -> None:
        self._note(f"{snapshot.id[:8]} of {stamp(snapshot.time)}: {why}")

    def pass_over_unreadable(self, id: str, why: str) -> None:
        self._note(f"{id[:8]}: {why}")

    def _note(self, line: str) -> None:
        self.passed_over.append(line)
        self.console.say(f"passed over: {line}")


def fetch_kit(place: KitPlace, into: Path, console: Console) -> FetchedKit:
    """Put the newest whole kit into this new folder, and return it. Each newer one that wasn't taken is named.

    If it has no CA key, add that of the newest kit that has it. All files are this user's, and no program that the
    kit names has run or will be run by git. Raise UsageError if the folder has something, HostError if the repository
    can't be read, ProofError if no kit is whole. The folder then doesn't exist, or is as it was.
    """
    into = into.resolve()
    url = place.repository.url
    try:
        _refuse_used(into)
        with restic_here(place.repository, place.access) as restic, _partial(into) as partial:
            source = _Source(restic, url, console, [])
            kits = _kits(source)
            snapshot, contents = _newest_whole(source, kits, partial)
            key_of = snapshot if contents.with_ca_key else _add_key(source, kits, contents, partial / _RESTORED)
            _move(partial / _RESTORED, into)
    except OSError as error:
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(error.filename or into)) from None
    return FetchedKit(into, into / contents.fleet_file, snapshot, contents, key_of)


def _refuse_used(into: Path) -> None:
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        should = "should be a new folder; if the kit is there, use -f FILE, not --from"
        raise UsageError("exists", where=str(into), should=should)


@contextmanager
def _partial(into: Path) -> Iterator[Path]:
    """Yield a new folder next to `into`, which only this user can enter, until the end of the block."""
    into.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _kits(source: _Source) -> Sequence[Snapshot]:
    """Return the kits, newest first. Name those that restic can't list, and those with a date that can't be right."""
    found = read_list(_good(source.restic("snapshots", "--no-lock", "--json"), source.url), source.url)
    for id, why in found.unreadable.items():
        source.pass_over_unreadable(id, why)
    kits: list[Snapshot] = []
    for one in (one for one in found.snapshots if is_kit(one) and _ID.fullmatch(one.id)):
        if false := false_date(one, utc_now()):
            source.pass_over(one, false)
        else:
            kits.append(one)
    if not kits and not source.passed_over:
        raise ProofError("has no kit", where=source.url, should="apply and backup kit save it", next=_NEXT)
    return kits


def _newest_whole(source: _Source, kits: Sequence[Snapshot], partial: Path) -> tuple[Snapshot, KitContents]:
    """Restore the newest kit that is whole. Raise ProofError if none is."""
    for one in kits:
        source.console.say(f"fetching the kit {one.id[:8]} of {stamp(one.time)}")
        try:
            return one, _restored(source, one, partial)
        except ProofError as error:
            source.pass_over(one, error.problems[0].what)
    raise ProofError("has no whole kit", where=source.url, next=_NEXT, listed=source.passed_over)


def _restored(source: _Source, snapshot: Snapshot, partial: Path) -> KitContents:
    folder, restic = partial / _RESTORED, source.restic
    shutil.rmtree(folder, ignore_errors=True)
    # Before anything is written: this disk, or this machine's memory, holds it.
    refuse_large(_readable(restic(*STATS, snapshot.id, timeout=_SECONDS), source).stdout, source.url)
    words = ("restore", "--no-lock", snapshot.id, "--verify", "--quiet", "--target")
    if restic.owner:
        # That user can't enter the folders above: restic finds this one as its working directory.
        os.chown(partial, *restic.owner)
        try:
            done = restic(*words, f"/proc/self/cwd/{_RESTORED}", timeout=_SECONDS, folder=partial)
        finally:
            os.chown(partial, os.geteuid(), os.getegid())
    else:
        done = restic(*words, str(folder), timeout=_SECONDS)
    _readable(done, source)
    take_over(folder)
    contents = _whole(folder, snapshot)
    disarm_git(folder)
    return contents


def _readable(done: Completed, source: _Source) -> Completed:
    """Return the answer. Raise ProofError if restic can't read this kit, HostError if it can't read any."""
    if done.ok:
        return done
    if done.exit_status in (NO_REPOSITORY, WRONG_PASSWORD):
        _good(done, source.url)
    raise ProofError(f"can't be read: {' '.join(done.last_lines(2))[:300]}")


def _good(done: Completed, where: str) -> Completed:
    if done.ok:
        return done
    known = {NO_REPOSITORY: "there is no repository", WRONG_PASSWORD: "wrong password"}
    what = known.get(done.exit_status) or f"can't be read: {' '.join(done.last_lines(2))}"
    raise HostError(what, where=where, next=_NEXT)


def _whole(folder: Path, snapshot: Snapshot) -> KitContents:
    """Return what the kit says about itself. Raise ProofError if it doesn't have all of that."""
    text = read_plain(folder, REFERENCES, _MOST_BYTES).decode(errors="replace")
    try:
        contents = parse_contents(text, f"kit {snapshot.id[:8]}")
    except NewerFormat:
        raise
    except RackwrightError as error:
        raise ProofError(f"{REFERENCES} {error.problems[0].what}") from None
    found = sum(len(names) for _, _, names in os.walk(folder)) - 1
    if found < contents.files:
        raise ProofError(f"has {found} files of {contents.files}")
    read_plain(folder, contents.fleet_file, _MOST_BYTES)
    if contents.with_ca_key and (
        why := _unfit(read_plain(folder, CA_KEY, _MOST_PEM), _certificate(folder, contents))
    ):
        raise ProofError(f"{CA_KEY} {why}")
    return contents


def _certificate(folder: Path, contents: KitContents) -> str | None:
    path = PurePosixPath(contents.fleet_file)
    inside = path.with_name(f"{path.stem}.ca.crt").as_posix()
    if not os.path.lexists(folder / inside):
        return None
    return read_plain(folder, inside, _MOST_PEM).decode(errors="replace")


def _unfit(key: bytes, certificate: str | None) -> str | None:
    """Return why it isn't the key of this CA."""
    try:
        loaded = load_key(Secret(key.decode("ascii")))
        fits = certificate is None or is_key_of(loaded, certificate)
    except ValueError:
        return "is no CA key"
    return None if fits else "belongs to another CA"


def _add_key(source: _Source, kits: Sequence[Snapshot], contents: KitContents, folder: Path) -> Snapshot | None:
    """Add the CA's key of the newest kit that has it; return that kit, None if there is none."""
    certificate = _certificate(folder, contents)
    if os.path.lexists(folder / CA_KEY):
        (folder / CA_KEY).unlink()
    for one in (one for one in kits if WITH_CA_KEY in (one.tags or ())):
        try:
            done = source.restic("dump", "--no-lock", one.id, f"/{CA_KEY}", limit=_MOST_PEM)
        except CommandTimeout:
            raise
        except HostError:
            source.pass_over(one, f"{CA_KEY} is too large")
            continue
        why = _unfit(done.stdout_bytes, certificate) if done.ok else "can't be read"
        if why:
            source.pass_over(one, f"{CA_KEY} {why}")
            continue
        (folder / CA_KEY).touch(mode=0o600)
        (folder / CA_KEY).write_bytes(done.stdout_bytes)
        source.console.say(f"it has no CA key; {CA_KEY} is from the kit {one.id[:8]} of {stamp(one.time)}")
        return one
    return None


def _move(restored: Path, into: Path) -> None:
    # Another run may have been faster.
    _refuse_used(into)
    if not into.exists():
        restored.rename(into)
        return
    # It may be the working directory, or a mount: it stays, and gets the files.
    into.chmod(0o700)
    for path in restored.iterdir():
        shutil.move(path, into / path.name)
