"""apt settings that other files may set, too."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from pyinfra.api.command import PyinfraCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.apt import AptSettings
from rackwright.operations.plan_notes import note


@operation()
def apt_unopposed(
    *, mark: str, switches: Mapping[str, str], lists: Mapping[str, tuple[str, ...]]
) -> Generator[PyinfraCommand]:
    """Add a note if apt's effective settings differ from our file, which sets `mark`.

    `switches` must have these values, and `lists` no other entries. Other files are left alone. Changes nothing.
    """
    found = host.get_fact(AptSettings, words=(mark, *switches, *lists))
    if mark in found:
        for key, value in switches.items():
            if found.get(key) != (value,):
                note(f'another file in /etc/apt/apt.conf.d sets {key} to "{"".join(found.get(key, ()))}"')
        for key, entries in lists.items():
            for entry in found.get(f"{key}::", ()):
                if entry not in entries:
                    note(f'another file in /etc/apt/apt.conf.d adds "{entry}" to {key}')
    yield from ()
