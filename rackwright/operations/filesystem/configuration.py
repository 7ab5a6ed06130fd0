"""A program's settings that other files may set, too."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from pyinfra.api.command import PyinfraCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.drop_in import DropIns
from rackwright.operations.plan_notes import note


@operation()
def unopposed(*, path: str, wanted: Mapping[str, str]) -> Generator[PyinfraCommand]:
    """Add a note for every drop-in file that is read after `path` and sets one of these keys to another value.

    Such a file may be intended, so it is left alone and overrides ours. Changes nothing.
    """
    folder, _, own = path.removeprefix("/etc/").rpartition("/")
    for one in host.get_fact(DropIns, folder=folder):
        if one.name > own and one.key in wanted and one.value != wanted[one.key]:
            note(f"{one.file} sets {one.key}={one.value}, and is read after rackwright's ({wanted[one.key]})")
    yield from ()
