"""Install one version of llama.cpp next to the others."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.launch import RUNTIMES
from rackwright.operations.filesystem.fetch import fetched
from rackwright.operations.filesystem.kept_build import kept_for_backups
from rackwright.operations.filesystem.stored_folder import room_made, unpacked
from rackwright.operations.packages import installed
from rackwright.roles.llama_cpp.settings import Settings
from rackwright.route import Route
from rackwright.values.file import File

UNPACKED = 5
"""An archive's content takes up to this many times the archive's size."""


@deploy("llama_cpp")
def llama_cpp(*, settings: Settings, files: tuple[File, ...], route: Route, kept: str | None = None) -> None:
    """Ensure that llama-server is in the version's folder, has printed its version, and is read-only.

    `files` is the archive that the lock names, one .tar.gz. `kept` is the folder in which the host keeps an
    archive of the controller for its backups.
    """
    (archive,) = files
    folder, digest = settings.folder, archive.sha256
    room = archive.model_copy(update={"size": archive.size * UNPACKED})
    installed(name="Install llama.cpp's dependencies", packages=("libgomp1", "curl", "ca-certificates"))
    if kept:
        kept_for_backups(
            what=f"llama.cpp {settings.version}", files=files, folder=kept, digest=digest, runtime=folder
        )
    room_made(
        name=f"Make sure that llama.cpp {settings.version} has room",
        what=f"llama.cpp {settings.version}",
        files=(room,),
        root=RUNTIMES,
        folder=folder,
        digest=digest,
        kept=False,
    )
    fetched(
        name=f"Fetch llama.cpp {settings.version} ({archive.size / 1e6:.0f} MB)",
        what=f"llama.cpp {settings.version}",
        file=archive,
        root=RUNTIMES,
        folder=folder,
        digest=digest,
        copy=kept,
        route=route,
    )
    unpacked(
        name=f"Unpack llama.cpp {settings.version}",
        archive=archive,
        root=RUNTIMES,
        folder=folder,
        program="llama-server",
        proof=("--version",),
    )
