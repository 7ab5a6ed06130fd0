"""`migrate erase`: what was recorded is removed, and a listing afterwards proves it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from typing import get_args

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.migrate.capture import CaptureResult, captures_of
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.same_folder import refuse_away
from rackwright.lifecycle.migrate.shadow.shadow_folder import SHADOW
from rackwright.lifecycle.session.under_lease import leased
from rackwright.migrate.file_kind import FileKind
from rackwright.migrate.folder import Folder
from rackwright.report.words import counted
from rackwright.state.migrations import result_in
from rackwright.values.base import Stored


class Erased(Stored):
    """What was removed, and what a listing showed afterwards."""

    format: str = "migration-erase/1"
    gateways: tuple[str, ...]
    """Those that list nothing any more."""
    missed: Mapping[str, str] = {}
    """Gateway, or host that was one, → why it may still have recorded requests."""
    folder: bool = False
    """Whether the folder's files were removed, too."""
    files: int = 0
    """How many the folder had."""
    left: tuple[str, ...] = ()
    """Names of encrypted files that the folder still has."""


def erase(place: Place, *, folder: bool) -> Erased:
    """End the capture, and remove what the gateways have recorded; with `folder`, also the records and answers here.

    Hosts that recorded and are no gateways any more are asked, too. It is noted, with what a listing showed. One that
    can't be asked, or has left the fleet, is in `missed`. Raise RackwrightError if the operator doesn't agree,
    LeasedError if another operator is at work.
    """
    asked = f"Erase all that the gateways have recorded for {place.plan.migration}"
    if folder:
        # Not need_folder: what is damaged must be erased, too.
        refuse_away(place.folder, place.log)
        asked += f", and all records and answers in {place.folder.path}"
    place.console.confirm(f"{asked}?")
    return erase_agreed(place, folder=folder)


def erase_agreed(place: Place, *, folder: bool) -> Erased:
    """Do what `erase` does, without asking the operator, who has agreed."""
    migration, fleet = place.plan.migration, place.session.fleet
    if folder:
        refuse_away(place.folder, place.log)
    recorders = _recorders(place)
    former = sorted(host for host in recorders if host in fleet.file.hosts and host not in fleet.gateways)
    captures = captures_of(place, *former)
    with leased(place.session, f"migrate erase {migration}", place.console, rollout=True):
        stopped = captures.stop(migration)
        answers = captures.erase(migration)
    missed = {host: _why(stopped[host], answer) for host, answer in answers.items() if answer != ()}
    clean = tuple(sorted(answers.keys() - missed.keys()))
    missed |= dict.fromkeys(recorders - fleet.file.hosts.keys(), "it recorded, and isn't in the fleet file any more")
    files = _emptied(place) if folder else 0
    left = tuple(sorted(_encrypted(place.folder))) if folder else ()
    erased = Erased(gateways=clean, missed=missed, folder=folder, files=files, left=left)
    place.note("erase", _what(erased), erased)
    return erased


def _recorders(place: Place) -> set[str]:
    """Return the hosts that recorded, or were to, and haven't been erased since, as the log says."""
    hosts: set[str] = set()
    for entry in place.entries():
        if entry.step == "capture" and entry.result:
            found = result_in(place.session.store, entry, CaptureResult)
            hosts |= {*found.gateways, *found.missed}
        elif entry.step == "erase" and entry.result:
            hosts -= {*result_in(place.session.store, entry, Erased).gateways}
    return hosts


def _emptied(place: Place) -> int:
    try:
        files = sum(place.folder.remove(kind) for kind in get_args(FileKind))
        shutil.rmtree(place.folder.path / SHADOW, ignore_errors=True)
        # A run that was killed may have left some that no list names.
        for stray in place.folder.path.glob("*.jsonl.age*"):
            stray.unlink(missing_ok=True)
    except OSError as error:
        raise RackwrightError(
            f"can't be emptied: {error.strerror}",
            where=str(place.folder.path),
            should="the gateways are erased already",
            next=f"correct it, then rackwright migrate erase {place.plan.migration} --folder",
        ) from None
    return files


def _encrypted(folder: Folder) -> Iterator[str]:
    """Yield the names of files with requests or answers; an export is neither."""
    found = (*folder.path.glob("*.age"), *(folder.path / SHADOW).rglob("*.age"))
    yield from (str(one.relative_to(folder.path)) for one in found)


def _why(stopped: HostError | None, answer: HostError | tuple[str, ...]) -> str:
    if isinstance(stopped, HostError):
        return stopped.problems[0].what
    return (
        answer.problems[0].what if isinstance(answer, HostError) else f"it still lists {counted(len(answer), 'file')}"
    )


def _what(erased: Erased) -> str:
    text = f"{counted(len(erased.gateways), 'gateway')} without recorded requests"
    if erased.missed:
        text += f", not {', '.join(sorted(erased.missed))}"
    return f"{text}; {counted(erased.files, 'file')} removed from the folder" if erased.folder else text
