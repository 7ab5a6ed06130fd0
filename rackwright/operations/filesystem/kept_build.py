"""A build that only the controller has, kept on a host: its backups save it, and a restored host installs it."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.launch import BUILDS
from rackwright.operations.diff import show
from rackwright.operations.facts.stored_folder import FileHashes, Marker, StoredFolder
from rackwright.operations.filesystem.fetch import arriving
from rackwright.operations.filesystem.stored_folder import place, room_made
from rackwright.values.file import File


def kept_for_backups(*, what: str, files: tuple[File, ...], folder: str, digest: str, runtime: str) -> None:
    """Run `build_kept`, after making sure that there is room."""
    room_made(
        name=f"Make sure that {what} has room in {BUILDS}",
        what=what,
        files=files,
        root=BUILDS,
        folder=folder,
        digest=digest,
    )
    build_kept(name=f"Keep {what} for backups", what=what, files=files, folder=folder, digest=digest, runtime=runtime)


@operation()
def build_kept(
    *, what: str, files: tuple[File, ...], folder: str, digest: str, runtime: str
) -> Generator[PyinfraCommand]:
    """Ensure that `folder` has exactly these files of the controller, owned by root and read-only.

    Files that are there with the right sha256, as after a restore, are not sent again. They are hashed only if the
    folder `runtime`, which is made of them, is missing; else their sizes are compared.
    """
    whole = host.get_fact(StoredFolder, path=folder).holds(digest, files)
    if whole and host.get_fact(Marker, path=runtime) == digest:
        return
    hashes = host.get_fact(FileHashes, path=folder)
    here = tuple(file for file in files if hashes.get(file.path) == file.sha256)
    if whole and here == files:
        return
    missing = tuple(file for file in files if file not in here)
    show(f"{what}: {len(missing)} files, {sum(file.size for file in missing) / 1e9:.3f} GB to {folder}\n")
    yield from arriving(what, missing, BUILDS)
    yield from arriving(what, here, BUILDS, copy=folder)
    yield place(files, BUILDS, folder, digest)
