"""Puts onto a host what looks at a replica every few seconds, and what answers when somebody asks for it."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.unit import UNITS, running, systemd_unit

_SYNTAX = "sh -n {path}"
Unit = tuple[str, str, str]
"""What people call it, its name, its text."""


def looking(
    *,
    replica: str,
    scripts: Mapping[str, tuple[str, str]],
    service: Unit,
    answer: Unit,
    started: tuple[Unit, ...],
) -> None:
    """Afterwards scripts (path and text, by kind) and units are written, and timer and socket run.

    `service` is what the timer starts, `answer` the template of which the socket starts one for each question.
    """
    for kind, (path, text) in scripts.items():
        checked_file(name=f"Write the {kind} script of {replica}", path=path, content=text, check=_SYNTAX)
    # systemd reads a template at each new instance, and knows no state of the template itself.
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
