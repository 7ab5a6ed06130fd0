"""The recorded requests of a shadow round: they stay apart from those that the migration's other steps use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.capture import CaptureResult, bring, captures_of, looked, remove, start
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.shadow.moment import Moment
from rackwright.migrate.folder import Folder, create_private
from rackwright.migrate.folder_list import locked

SHADOW = "shadow"
"""Within the migration's folder."""
_BUSY = "another command is at work on this migration's shadow"


def record(place: Place) -> None:
    """Ensure that every gateway that can be asked records the plan's sample.

    Raise LeasedError if another operator is at work and a capture must be started.
    """
    if not all(one.running for one in looked(place).gateways.values()):
        start(place)


@contextmanager
def records_since(place: Place, moment: Moment) -> Iterator[Folder]:
    """Yield the folder of the rounds since this moment; those of other moments are gone.

    Raise LeasedError if another command on this machine has it, RackwrightError if it can't be written.
    """
    root = place.folder.path / SHADOW
    create_private(place.folder.path)
    create_private(root)
    with locked(root, _BUSY):
        try:
            for other in root.iterdir():
                if other.is_dir() and other.name != moment.name:
                    shutil.rmtree(other)
        except OSError as error:
            raise RackwrightError(f"can't be emptied: {error.strerror}", where=str(root)) from None
        yield place.folder.below(f"{SHADOW}/{moment.name}")


def fetch_into(place: Place, folder: Folder) -> CaptureResult:
    """Bring what the gateways have recorded to this folder, and remove it there; return what they say then."""
    captures, migration = captures_of(place), place.plan.migration
    arrived = bring(captures, migration, folder)
    return looked(place, {**arrived.missed, **remove(captures, migration, arrived)})
