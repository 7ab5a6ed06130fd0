"""Installs one replica's probe and the answer that the host proxy asks for."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.file import checked_file
from rackwright.operations.unit import UNITS, running, systemd_unit
from rackwright.roles.probe import scripts, units
from rackwright.roles.probe.settings import Settings

SYNTAX = "sh -n {path}"


@deploy("probe")
def probe(*, settings: Settings) -> None:
    """Afterwards the replica's state is renewed every few seconds, and its agent answers on loopback.

    Needs curl on the host.
    """
    replica = settings.replica
    for kind, render in scripts.ALL.items():
        checked_file(
            name=f"Write the {kind} script of {replica}",
            path=settings.scripts[kind],
            content=render(settings),
            check=SYNTAX,
        )
    # systemd reads a template at each new instance, and knows no state of the template itself.
    checked_file(
        name=f"Write the answer's unit of {replica}", path=f"{UNITS}/{settings.agent}", content=units.agent(settings)
    )
    systemd_unit(
        name=f"Write the probe's unit of {replica}",
        unit=settings.service,
        content=units.service(settings),
        enabled=None,
    )
    for kind, unit, content in (
        ("timer", settings.timer, units.timer(settings)),
        ("agent", settings.agent_socket, units.agent_socket(settings)),
    ):
        written = systemd_unit(name=f"Write the {kind} of {replica}", unit=unit, content=content)
        running(
            name=f"Start the {kind} of {replica}",
            unit=unit,
            restart_if=[written],
            restart_files=(f"{UNITS}/{unit}",),
        )
