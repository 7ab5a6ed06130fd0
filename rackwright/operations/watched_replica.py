"""Installs the units that check a replica every few seconds, and those that answer questions about it."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.unit import UNITS, running, systemd_unit

_SYNTAX = "sh -n {path}"
Unit = tuple[str, str, str]
"""Description, name and text."""


def looking(
    *,
    replica: str,
    scripts: Mapping[str, tuple[str, str]],
    service: Unit,
    answer: Unit,
    started: tuple[Unit, ...],
) -> None:
    """Write the scripts (path and text, by kind) and the units, and start the timer and the socket.

    The timer starts `service`. For each question, the socket starts an instance of the template `answer`.
    """
    for kind, (path, text) in scripts.items():
        checked_file(name=f"Write the {kind} script of {replica}", path=path, content=text, check=_SYNTAX)
    # systemd reads a template for each new instance, and has no state for the template.
    called, unit, text = answer
    checked_file(name=f"Write the {called} of {replica}", path=f"{UNITS}/{unit}", content=text)
    called, unit, text = service
    systemd_unit(name=f"Write the {called} of {replica}", unit=unit, content=text, enabled=None)
    for called, unit, text in started:
        written = systemd_unit(name=f"Write the {called} of {replica}", unit=unit, content=text)
        running(
            name=f"Start the {called} of {replica}",
            unit=unit,
            restart_if=[written],
            restart_files=(f"{UNITS}/{unit}",),
        )
