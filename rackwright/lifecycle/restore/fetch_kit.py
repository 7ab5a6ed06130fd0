"""Fetch a fleet's kit from a repository: all that a controller needs that has nothing else."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rackwright.errors import FleetError, HostError, Problem, ProofError, RackwrightError, SecretError, UsageError
from rackwright.fleet.ca import install_key, key_file
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.secrets import resolve
from rackwright.fleet.sections.backup import KIT
from rackwright.lifecycle.backup.kit_content import CA_KEY, REFERENCES
from rackwright.lifecycle.backup.kit_repository import WITH_CA_KEY
from rackwright.lifecycle.backup.restic_here import NO_REPOSITORY, WRONG_PASSWORD, Restic, restic_here
from rackwright.lifecycle.backup.snapshots import Snapshot, parse_snapshots
from rackwright.lifecycle.session.console import Console
from rackwright.remote.answers import read_answer
from rackwright.remote.completed import Completed
from rackwright.roles.backup.settings import Access, Repository
from rackwright.roles.backup.state import SLACK
from rackwright.state.formats import stamp, utc_now
from rackwright.state.kit import KitContents, parse_contents
from rackwright.values.secrets import Secret

_SECONDS = 3600


@dataclass(frozen=True)
class KitPlace:
    """Where a kit is, and what opens it."""

    url: str
    """As restic writes it; with or without the last part, kit."""
    password: Secret
    user: str | None = None
    login: Secret | None = None
    ca_pem: str | None = None

    @property
    def repository(self) -> Repository:
        base = self.url.rstrip("/")
        url = base if base.endswith(f"/{KIT}") else f"{base}/{KIT}"
        return Repository(name=KIT, url=url, user=self.user, own_ca=self.ca_pem is not None)

    @property
    def access(self) -> Access:
        return Access(self.password, login=self.login, ca_pem=self.ca_pem)


@dataclass(frozen=True)
class FetchedKit:
    folder: Path
    fleet_file: Path
    snapshot: Snapshot
    contents: KitContents


def fetch_kit(place: KitPlace, into: Path, console: Console) -> FetchedKit:
    """Put the newest complete kit into this new folder, and return it. Its CA key is preferred to its age.

    Raise UsageError if the folder has something, HostError if the repository can't be read, ProofError if no kit is
    whole. The folder then doesn't exist, or is as it was.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError("exists", where=str(into), should="should be a new folder for the kit")
    partial = into.with_name(f"{into.name}.partial")
    with restic_here(place.repository, place.access) as restic:
        snapshot = _chosen(restic, place.repository.url, console)
        console.say(f"fetching the kit {snapshot.id[:8]} of {stamp(snapshot.time)}")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(mode=0o700, parents=True)
            words = ("restore", "--no-lock", snapshot.id, "--target", str(partial), "--verify", "--quiet")
            _good(restic(*words, timeout=_SECONDS), place.repository.url)
            contents = _whole(partial, snapshot)
            if into.exists():
                into.rmdir()
            partial.rename(into)
        except OSError as error:
            raise RackwrightError(f"can't be written: {error.strerror}", where=str(error.filename)) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return FetchedKit(into, into / contents.fleet_file, snapshot, contents)


def use_ca_key(kit: FetchedKit, fleet: Fleet, console: Console) -> None:
    """Put the CA's key where the fleet looks for it. If the fleet file refers to another place, say where it is.

    Raise SecretError if this machine has another key for this fleet: it is left alone.
    """
    found = kit.folder / CA_KEY
    if not found.exists():
        console.say("the kit has no CA key; without it, certificates can't be renewed: ask the operators for it")
        return
    if fleet.file.ca.key is not None:
        console.say(f"{found}: the CA's key, for {fleet.file.ca.key}")
        return
    path = key_file(fleet.file.fleet)
    key = Secret(found.read_text(encoding="ascii"))
    install_key(path, key)
    if path.read_text(encoding="ascii") != key.reveal():
        raise SecretError(
            f"is the key of another CA of a fleet {fleet.file.fleet}",
            where=str(path),
            should=f"should be the key in {found}",
            next=f"move {path} away",
        )


def refuse_missing_secrets(kit: FetchedKit) -> None:
    """Raise FleetError with every reference of the fleet file that doesn't resolve on this machine."""
    folder, problems = kit.fleet_file.parent, list[Problem]()
    for one in kit.contents.references:
        try:
            resolve(one.reference, where=one.where, folder=folder)
        except SecretError as error:
            problems += error.problems
    if problems:
        following = f"rackwright -f {kit.fleet_file} restore --all"
        raise FleetError([*problems, Problem("", "put these secrets in place", next=following)])


def _chosen(restic: Restic, where: str, console: Console) -> Snapshot:
    answer = _good(restic("snapshots", "--no-lock", "--json"), where)
    known = read_answer(where, "restic's list of snapshots", parse_snapshots, answer.stdout)
    latest = utc_now() + timedelta(seconds=SLACK)
    kits = [one for one in known if one.hostname == KIT and "rackwright" in (one.tags or ())]
    for one in (one for one in kits if one.time > latest):
        console.say(f"not taken: {one.id[:8]} of {stamp(one.time)}: is dated in the future")
    fitting = [one for one in kits if one.time <= latest]
    if not fitting:
        raise ProofError(
            "has no kit", where=where, should="apply and backup kit save it", next="try another repository"
        )
    newest = max(fitting, key=lambda one: one.time)
    best = max(fitting, key=lambda one: (WITH_CA_KEY in (one.tags or ()), one.time))
    if best is not newest:
        console.say(f"note: {newest.id[:8]} of {stamp(newest.time)} is newer, but has no CA key")
    return best


def _good(done: Completed, where: str) -> Completed:
    if done.ok:
        return done
    known = {NO_REPOSITORY: "there is no repository", WRONG_PASSWORD: "wrong password"}
    what = known.get(done.exit_status) or f"can't be read: {' '.join(done.last_lines(2))}"
    raise HostError(what, where=where, next="the same command with another --from")


def _whole(folder: Path, snapshot: Snapshot) -> KitContents:
    """Return what the kit says about itself. Raise ProofError if it doesn't have all of that."""
    path = folder / REFERENCES
    where = f"kit {snapshot.id[:8]}"
    if not path.is_file():
        raise ProofError(f"has no {REFERENCES}", where=where)
    contents = parse_contents(path.read_text(encoding="utf-8", errors="replace"), where)
    found = sum(len(names) for _, _, names in os.walk(folder)) - 1
    if found < contents.files:
        raise ProofError(f"has {found} files", where=where, should=f"should have {contents.files}")
    for inside in (contents.fleet_file, *([CA_KEY] if contents.with_ca_key else [])):
        if not (folder / inside).is_file():
            raise ProofError(f"has no {inside}", where=where)
    return contents
