"""Installs one engine and starts it where it doesn't run."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.unit import running, systemd_unit
from rackwright.operations.user import system_user
from rackwright.roles.replica.settings import Settings
from rackwright.roles.replica.unit import render


@deploy("replica")
def replica(*, settings: Settings) -> None:
    """Afterwards the engine's unit is what it should be and runs; one that ran already goes on as it was started.

    Whether it is outdated, `state.py` tells; the rollout restarts it.
    """
    name = settings.name
    system_user(name=f"Make the user of {name}", user=settings.user)
    systemd_unit(name=f"Write the unit of {name}", unit=settings.unit, content=render(settings))
    running(name=f"Start {name}", unit=settings.unit)
