"""Installs what binds one member of a replica to the others."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.file import checked_file
from rackwright.operations.unit import UNITS, running, systemd_unit
from rackwright.roles.bond import scripts, units
from rackwright.roles.bond.settings import Settings

SYNTAX = "sh -n {path}"


@deploy("bond")
def bond(*, settings: Settings) -> None:
    """Afterwards this member tells the others how its engine is, and looks at them every few seconds.

    Needs curl on the host.
    """
    replica = settings.replica
    for (kind, path), render in zip(settings.scripts.items(), (scripts.bond, scripts.word), strict=True):
        checked_file(name=f"Write the {kind} script of {replica}", path=path, content=render(settings), check=SYNTAX)
    # systemd reads a template at each new instance, and knows no state of the template itself.
    checked_file(
        name=f"Write the word's unit of {replica}", path=f"{UNITS}/{settings.word}", content=units.word(settings)
    )
    systemd_unit(
        name=f"Write the bond's unit of {replica}",
        unit=settings.service,
        content=units.service(settings),
        enabled=None,
    )
    for kind, unit, content in (
        ("bond's timer", settings.timer, units.timer(settings)),
        ("word's socket", settings.word_socket, units.word_socket(settings)),
    ):
        written = systemd_unit(name=f"Write the {kind} of {replica}", unit=unit, content=content)
        running(
            name=f"Start the {kind} of {replica}",
            unit=unit,
            restart_if=[written],
            restart_files=(f"{UNITS}/{unit}",),
        )
