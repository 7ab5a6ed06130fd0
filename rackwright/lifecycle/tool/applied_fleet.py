"""The fleet that the tool on a control host works on: the one that was applied last."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path, PurePosixPath

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock_file import read_lock
from rackwright.fleet.targets import targets
from rackwright.lifecycle.session.last_applied import last_applied
from rackwright.lifecycle.tool.version import require_version
from rackwright.roles.tool.settings import COMMAND, HANDED
from rackwright.state.applied import Applied, applied_of

_FOLDER = "applied"
_HANDED_FOLDER = "handed"


def applied_fleet(handed: Path = Path(HANDED), folder: Path | None = None) -> Fleet:
    """Return the fleet that most control hosts have as the applied one, from a new copy in `folder`.

    Without `folder`, it is in the folder for temporary files, which is the unit's own and goes with it. Raise
    RackwrightError if root handed over no fleet, or a damaged one, or if another version belongs to it; raise
    HostError if no control host can be asked.
    """
    folder = folder or Path(tempfile.gettempdir()) / _FOLDER
    own = _handed_over(handed)
    fleet = _unpacked(own, folder)
    newest = _asked(fleet)
    return fleet if newest in (None, own) else _unpacked(newest, folder)


def handed_fleet(handed: Path = Path(HANDED), folder: Path | None = None) -> Fleet:
    """Return the fleet as root handed it over, whichever version belongs to it. It is only good to report to people.

    It is in a new copy in `folder`, or in one that goes with the unit. Raise RackwrightError if there is none, or if
    this version can't read it.
    """
    return load_fleet(_written(_handed_over(handed), folder or Path(tempfile.gettempdir()) / _HANDED_FOLDER))


def _handed_over(path: Path) -> Applied:
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise RackwrightError(
            f"can't be read: {error.strerror}",
            where=str(path),
            should="only the tool's unit, which root prepares, should run the tool",
            next=f"{COMMAND}, as root",
        ) from None
    if not packed:
        raise RackwrightError(
            "no fleet was applied here yet",
            where="this control host",
            should="the lock should record it as a control host",
            next="rackwright lease move and rackwright apply, from a controller",
        )
    return applied_of(packed, str(path))


def _asked(fleet: Fleet) -> Applied | None:
    """Return what most control hosts have: this host was perhaps down when the last apply wrote its files."""
    from rackwright.remote import Remote

    with Remote(targets(fleet, fleet.control)) as remote:
        return last_applied(remote, fleet)


def _unpacked(applied: Applied, folder: Path) -> Fleet:
    """Write these files to the folder, and return the fleet that they describe.

    The version is checked first: another one may not be able to read the fleet file.
    """
    path = _written(applied, folder)
    require_version(read_lock(path.with_name(f"{path.stem}.lock")))
    return load_fleet(path)


def _written(applied: Applied, folder: Path) -> Path:
    """Write these files to the folder, in place of all others there, and return the path of the fleet file."""
    _refuse_strange_names(applied)
    if folder.exists():
        shutil.rmtree(folder)
    for name, content in applied.files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / applied.about.fleet_file


def _refuse_strange_names(applied: Applied) -> None:
    for name in applied.files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise RackwrightError(f"the applied fleet is damaged: it has a file {name}", where="the control hosts")
