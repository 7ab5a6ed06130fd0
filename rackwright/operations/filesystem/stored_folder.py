"""Folders of verified files: space for them, and their move into place when complete."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from pathlib import Path

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show
from rackwright.operations.facts.stored_folder import FreeRoom, Marker, OpenFolders, ReadThrough, StoredFolder
from rackwright.operations.filesystem.fetch import holds, incoming
from rackwright.values.file import File


def placing(name: str) -> str:
    """Return the text of a script that puts a folder in place, with the shared function that does it."""
    folder = Path(__file__).parent
    return (folder / "put_in_place.sh").read_text() + (folder / f"{name}.sh").read_text()


PLACE, UNPACK = placing("place"), placing("unpack")
READ = (Path(__file__).parent / "read.sh").read_text()
READ_HERE = "/var/lib/rackwright/read"
"""Records of the shared folders that this host has read, which another host wrote."""
MARGIN = 256 * 2**20
"""Bytes that must stay free in addition to the files."""


def unmounted(root: str) -> str:
    """Return the error for a shared folder that is on the host's own disk."""
    return f"{root} is on the host's own disk, should be mounted: the fleet file says that hosts share it"


@operation()
def room_made(
    *,
    what: str,
    files: tuple[File, ...],
    root: str,
    folder: str,
    digest: str,
    kept: bool = True,
    shared: bool = False,
) -> Generator[PyinfraCommand]:
    """Ensure that `root` exists and has space for the files that are still missing; fail if it has too little.

    `kept`: the folder keeps the files themselves, not their unpacked content. `shared`: other hosts see the folder,
    too, so it must be mounted.
    """
    if holds(folder, digest, files if kept else ()):
        return
    room = host.get_fact(FreeRoom, root=root)
    if shared and not room.mounted:
        yield StringCommand(f"printf '%s\\n' {shlex.quote(f'{what}: {unmounted(root)}')} >&2; false")
        return
    sizes = {file.sha256: file.size for file in files}
    missing = sum(max(0, size - room.arrived.get(sha256, 0)) for sha256, size in sizes.items())
    if room.free is not None and room.free < missing + MARGIN:
        wrong = (
            f"{what}: {root} has {room.free / 1e9:.2f} GB free, should have {(missing + MARGIN) / 1e9:.2f} GB: "
            f"{missing / 1e9:.2f} GB are still to be fetched, {MARGIN / 1e9:.2f} GB must stay free"
        )
        yield StringCommand(f"printf '%s\\n' {shlex.quote(wrong)} >&2; false")
        return
    quoted = shlex.quote(root)
    yield StringCommand(f"[ -d {quoted} ] || install -d -m 0755 -o root -g root -- {quoted}")


@operation()
def closed(*, root: str) -> Generator[PyinfraCommand]:
    """Ensure that only root may enter each folder in `root` that holds weights of ours, also of earlier models.

    Engines don't need to: systemd binds their model into their own view. No file changes.
    """
    if found := host.get_fact(OpenFolders, root=root):
        show("".join(f"{path}: only root may enter\n" for path in found))
        paths = shlex.join(found)
        yield StringCommand(f"chown -h root:root -- {paths} && chmod u=rwx,go=,a-st -- {paths}")


@operation()
def placed(*, what: str, files: tuple[File, ...], root: str, folder: str, digest: str) -> Generator[PyinfraCommand]:
    """Put exactly these files into `folder`, all at once, each verified, owned by root and read-only.

    A folder with a wrong marker or wrong sizes is replaced. Its parent is created, and only root may enter it.
    """
    if host.get_fact(StoredFolder, path=folder).holds(digest, files):
        return
    show(f"{what}: {len(files)} files, {sum(file.size for file in files) / 1e9:.3f} GB in {folder}\n")
    yield place(files, root, folder, digest)


def place(files: tuple[File, ...], root: str, folder: str, digest: str) -> StringCommand:
    """Return the command that puts fetched files into `folder`, all at once, with the marker."""
    words = ["sh", "-c", PLACE, "place", incoming(root), folder, digest]
    for file in files:
        words += [file.sha256, file.path]
    return StringCommand(shlex.join(words))


@operation()
def unpacked(
    *, archive: File, root: str, folder: str, program: str, proof: tuple[str, ...]
) -> Generator[PyinfraCommand]:
    """Unpack the program, with the files next to it in the archive, to `folder`, owned by root and read-only.

    Before anything is put in place, the program is run once with the arguments `proof`.
    """
    if host.get_fact(Marker, path=folder) == archive.sha256:
        return
    show(f"{folder}: {program} from {archive.path}\n")
    source = f"{incoming(root)}/{archive.sha256}.verified"
    yield StringCommand(shlex.join(("sh", "-c", UNPACK, "unpack", source, folder, archive.sha256, program, *proof)))


@operation()
def read_here(
    *, what: str, files: tuple[File, ...], root: str, folder: str, digest: str, writer: str
) -> Generator[PyinfraCommand]:
    """Ensure that this host has read every file of a folder that another host writes, and that all are correct.

    Fails if the folder isn't mounted, is missing or incomplete, or if files are wrong; lists these.
    """
    note = f"{READ_HERE}/{what}/{digest[:16]}"
    whole = host.get_fact(StoredFolder, path=folder).holds(digest, files)
    if whole and host.get_fact(ReadThrough, note=note, folder=folder, digest=digest):
        return
    show(f"{what}: {len(files)} files, {sum(file.size for file in files) / 1e9:.3f} GB in {folder}, by {writer}\n")
    words = ["sh", "-c", READ, "read", what, folder, digest, writer, note, unmounted(root)]
    for file in files:
        words += [file.sha256, file.path]
    yield StringCommand(shlex.join(words))
