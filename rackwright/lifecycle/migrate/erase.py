"""`migrate erase`: what was recorded is removed, and a listing afterwards proves it."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.migrate.capture import captures_of
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.same_folder import refuse_away
from rackwright.lifecycle.session.under_lease import leased
from rackwright.report.words import counted
from rackwright.values.base import Stored

KINDS = ("requests", "answers-cloud", "answers-again", "answers-fleet")


class Erased(Stored):
    """What was removed, and what a listing showed afterwards."""

    format: str = "erased/1"
    gateways: tuple[str, ...]
    """Those that list nothing any more."""
    missed: Mapping[str, str] = {}
    """Gateway → why it may still have recorded requests."""
    folder: bool = False
    """Whether the folder's files were removed, too."""
    files: int = 0
    """How many the folder had."""
    left: tuple[str, ...] = ()
    """Names of encrypted files that the folder still has."""


def erase(place: Place, *, folder: bool) -> Erased:
    """End the capture, and remove what the gateways have recorded; with `folder`, also the records and answers here.

    It is noted, with what a listing showed afterwards. A gateway that can't be asked is in `missed`. Raise
    RackwrightError if the operator doesn't agree, LeasedError if another operator is at work.
    """
    migration, captures = place.plan.migration, captures_of(place)
    asked = f"Erase all that the gateways have recorded for {migration}"
    if folder:
        # Not need_folder: what is damaged must be erased, too.
        refuse_away(place.folder, place.log)
        asked += f", and all records and answers in {place.folder.path}"
    place.console.confirm(f"{asked}?")
    with leased(place.session, f"migrate erase {migration}", place.console, rollout=True):
        stopped = captures.stop(migration)
        answers = captures.erase(migration)
    missed = {host: _why(stopped[host], answer) for host, answer in answers.items() if answer != ()}
    clean = tuple(sorted(answers.keys() - missed.keys()))
    files = _emptied(place) if folder else 0
    left = tuple(sorted(path.name for path in place.folder.path.glob("*.age"))) if folder else ()
    erased = Erased(gateways=clean, missed=missed, folder=folder, files=files, left=left)
    place.note("erase", _what(erased), erased)
    return erased


def _emptied(place: Place) -> int:
    try:
        files = sum(place.folder.remove(kind) for kind in KINDS)
        # A run that was killed may have left some that no list names.
        for stray in place.folder.path.glob("*.jsonl.age*"):
            stray.unlink(missing_ok=True)
    except OSError as error:
        raise RackwrightError(f"can't be emptied: {error.strerror}", where=str(place.folder.path)) from None
    return files


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
