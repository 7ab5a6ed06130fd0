"""Install this version of the tool on a control host, next to the one before."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.fetch import all_fetched
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.filesystem.stored_folder import room_made
from rackwright.operations.filesystem.wheels import wheels_installed
from rackwright.operations.packages import installed
from rackwright.operations.user import system_user
from rackwright.roles.tool.running import runs
from rackwright.roles.tool.settings import FOLDER, PYTHON, PYTHON_VERSION, ROOT, STATE, USER, Settings
from rackwright.route import Route
from rackwright.values.file import File
from rackwright.values.secrets import Secret

UNPACKED = 6
"""Wheels take up to this many times their size after they are installed and compiled to bytecode."""
PROOF = "rackwright.__main__, rackwright.remote.ssh, rackwright.runner.runner, rackwright.resolve.wheels"
"""Modules that import most of what the tool needs, the compiled parts too."""


@deploy("tool")
def tool(
    *,
    settings: Settings,
    wheels: tuple[File, ...],
    digest: str,
    route: Route,
    secrets: Callable[[], Mapping[str, Secret]],
) -> None:
    """Ensure that the tool is in its version's folder, was imported once, is read-only, has a user, and runs.

    `wheels` are those of all that it needs and its own, and `digest` identifies them. `secrets` returns its
    credentials by name. Other versions stay here; the role layout removes them.
    """
    what = f"the tool {settings.version}"
    room = tuple(wheel.model_copy(update={"size": wheel.size * UNPACKED}) for wheel in wheels)
    installed(
        name="Install the tool's dependencies", packages=("curl", "ca-certificates", f"python{PYTHON_VERSION}-venv")
    )
    system_user(name=f"Make the user {USER}", user=USER, home=STATE)
    folder(name="Make the folder of the tool's state", path=STATE, mode="0700", user=USER, group=USER)
    folder(name="Make the folder of the tool's settings", path=FOLDER)
    folder(name="Make the folder of its versions", path=ROOT)
    room_made(
        name=f"Make sure that {what} has room",
        what=what,
        files=room,
        root=ROOT,
        folder=settings.folder,
        digest=digest,
        kept=False,
    )
    all_fetched(
        name=f"Fetch {what} ({len(wheels)} wheels, {sum(wheel.size for wheel in wheels) / 1e6:.0f} MB)",
        what=what,
        files=wheels,
        root=ROOT,
        folder=settings.folder,
        digest=digest,
        route=route,
    )
    wheels_installed(
        name=f"Install {what}",
        python=PYTHON,
        wheels=wheels,
        root=ROOT,
        folder=settings.folder,
        digest=digest,
        module=PROOF,
    )
    runs(settings, secrets)
