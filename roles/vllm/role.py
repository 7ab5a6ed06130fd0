"""Install one version of vLLM next to the others."""

from __future__ import annotations

from pathlib import PurePosixPath

from pyinfra.api.deploy import deploy

from rackwright.launch import RUNTIMES
from rackwright.operations.filesystem.fetch import all_fetched
from rackwright.operations.filesystem.kept_build import kept_for_backups
from rackwright.operations.filesystem.stored_folder import room_made
from rackwright.operations.filesystem.wheels import wheels_installed
from rackwright.operations.packages import installed
from rackwright.roles.vllm.settings import Settings
from rackwright.route import Route
from rackwright.values.file import File

UNPACKED = 6
"""Wheels take up to this many times their size after they are installed and compiled to bytecode."""


@deploy("vllm")
def vllm(
    *,
    settings: Settings,
    wheels: tuple[File, ...],
    digest: str,
    gpus: bool,
    route: Route,
    kept: str | None = None,
) -> None:
    """Ensure that vLLM is in the version's folder, was imported once, and is read-only.

    `wheels` are all wheels that the lock names, and `digest` identifies them; `gpus`: whether engines here use GPUs.
    `kept` is the folder in which the host keeps wheels of the controller for its backups.
    """
    what, folder = f"vLLM {settings.version}", settings.folder
    room = tuple(wheel.model_copy(update={"size": wheel.size * UNPACKED}) for wheel in wheels)
    installed(name="Install vLLM's dependencies", packages=_packages(settings, gpus))
    if kept:
        kept_for_backups(what=what, files=wheels, folder=kept, digest=digest, runtime=folder)
    room_made(
        name=f"Make sure that {what} has room",
        what=what,
        files=room,
        root=RUNTIMES,
        folder=folder,
        digest=digest,
        kept=False,
    )
    all_fetched(
        name=f"Fetch {what} ({len(wheels)} wheels, {sum(wheel.size for wheel in wheels) / 1e6:.0f} MB)",
        what=what,
        files=wheels,
        root=RUNTIMES,
        folder=folder,
        digest=digest,
        copy=kept,
        route=route,
    )
    wheels_installed(
        name=f"Install {what}",
        python=settings.python,
        wheels=wheels,
        root=RUNTIMES,
        folder=folder,
        digest=digest,
        module="vllm.version, torch",
    )


def _packages(settings: Settings, gpus: bool) -> tuple[str, ...]:
    needed = ["curl", "ca-certificates", "libnuma1"]
    python = PurePosixPath(settings.python).name
    if settings.interpreter is None:
        needed.append(f"{python}-venv")
        # At the first start of each kernel, Triton compiles its launcher for this interpreter.
        needed += ["gcc", "libc6-dev", f"{python}-dev"] if gpus else []
    return tuple(needed)
