"""A Python program in its own folder, from verified wheels."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show
from rackwright.operations.facts.stored_folder import Marker
from rackwright.operations.filesystem.fetch import incoming
from rackwright.operations.filesystem.stored_folder import placing
from rackwright.values.file import File

INSTALL = placing("wheels")


@operation()
def wheels_installed(
    *, python: str, wheels: tuple[File, ...], root: str, folder: str, digest: str, module: str
) -> Generator[PyinfraCommand]:
    """Create a virtual environment of that interpreter with exactly these wheels in `folder`, read-only.

    Before anything is put in place, `module` is imported once, as an unprivileged user.
    """
    if host.get_fact(Marker, path=folder) == digest:
        return
    show(f"{folder}: {len(wheels)} wheels for {python}\n")
    words = ["sh", "-c", INSTALL, "wheels", python, incoming(root), folder, digest, module]
    for wheel in wheels:
        words += [wheel.sha256, wheel.path]
    yield StringCommand(shlex.join(words))
