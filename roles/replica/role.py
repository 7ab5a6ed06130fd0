"""Install one engine, and start it if it isn't running."""

from __future__ import annotations

from pyinfra.api.deploy import deploy
from pyinfra.context import host

from rackwright.hardware.hardware import Hardware
from rackwright.operations.drop_in import no_drop_in, skipped, unit_drop_in
from rackwright.operations.facts.hardware import GpuFiles, HostHardware
from rackwright.operations.unit import running, systemd_unit
from rackwright.operations.user import system_user
from rackwright.roles.replica.gpus import Given, given, render_gpus, uuids_in
from rackwright.roles.replica.settings import Settings
from rackwright.roles.replica.unit import render


def gpus_of(replicas: tuple[Settings, ...]) -> Given:
    """Given all replicas of a host in the fleet's order, return the GPUs that each should have. Asks the host."""
    files = host.get_fact(GpuFiles)
    present = {one.name: uuids_in(files[one.gpus_file]) for one in replicas if one.gpus_file in files}
    # Engines that the fleet no longer names use their GPUs until they are retired.
    in_use = {path: uuids_in(text) for path, text in files.items() if path.startswith("/run/")}
    in_use = {path.split("/")[-2]: uuids for path, uuids in in_use.items()}
    wanted = any(settings.gpus for settings in replicas)
    return given(replicas, host.get_fact(HostHardware) if wanted else Hardware(), present, in_use)


@deploy("replica")
def replica(*, settings: Settings, gpus: Given | None = None, rolled: bool = False) -> None:
    """Ensure that the engine's unit has the right content and runs; a running engine isn't restarted.

    `rolled`: the engine runs with other settings, and the rollout will change its unit in its turn; until then, it
    must come back unchanged after a crash or a reboot. `gpus` is the result of `gpus_of` for all replicas of the
    host; a replica that can't get its GPUs is installed but not started.
    """
    name = settings.name
    system_user(name=f"Make the user of {name}", user=settings.user)
    if not rolled:
        systemd_unit(name=f"Write the unit of {name}", unit=settings.unit, content=render(settings))
    given_here = gpus or gpus_of((settings,))
    if why := given_here.without.get(name):
        skipped(name=f"Give {name} its GPUs", why=f"{name} {why}")
        return
    if devices := given_here.devices.get(name):
        unit_drop_in(name=f"Give {name} its GPUs", path=settings.gpus_file, content=render_gpus(devices))
    elif name in given_here.surplus:
        no_drop_in(name=f"Take the GPUs from {name}", path=settings.gpus_file)
    running(name=f"Start {name}", unit=settings.unit)
