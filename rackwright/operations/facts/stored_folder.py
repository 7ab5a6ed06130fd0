"""The content of a folder of verified files, and the parts of files that have already been fetched."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from pyinfra.api.facts import FactBase

from rackwright.values.file import File


@dataclass(frozen=True)
class Stored:
    digest: str | None = None
    """From the folder's marker, written after every file was hashed; None: missing or incomplete."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes in bytes, by path within the folder."""

    def holds(self, digest: str, files: tuple[File, ...]) -> bool:
        """Return whether the folder was verified with this digest, and still has exactly these files and sizes."""
        return self.digest == digest and self.sizes == {file.path: file.size for file in files}


class StoredFolder(FactBase[Stored]):
    """Given a folder, return its marker and its files' sizes. It is cheap, because nothing is hashed."""

    def command(self, path: str) -> str:
        return (
            f'f={shlex.quote(path)}; if [ -f "$f/.verified" ]; then printf \'digest %s\\n\' "$(cat "$f/.verified")"; '
            "find \"$f\" -type f ! -name .verified -printf '%s %P\\n'; fi"
        )

    @staticmethod
    def default() -> Stored:
        return Stored()

    def process(self, output: list[str]) -> Stored:
        digest = output[0].partition(" ")[2].strip() or None
        sizes = {path: int(size) for size, _, path in (line.partition(" ") for line in output[1:])}
        return Stored(digest, sizes)


class FileHashes(FactBase[dict[str, str]]):
    """Given a folder, return path → sha256 of each file in it. It reads all of them, so ask only if it matters."""

    def command(self, path: str) -> str:
        where = shlex.quote(path)
        return f"cd -- {where} 2>/dev/null && find . -type f ! -name .verified -exec sha256sum -- {{}} + || true"

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def process(self, output: list[str]) -> dict[str, str]:
        found = (re.fullmatch(r"([0-9a-f]{64})  \./(.+)", line) for line in output)
        return {match[2]: match[1] for match in found if match}


class Marker(FactBase[str | None]):
    """Given a folder, return the digest with which it was verified. Lists no files, so it suits folders with many."""

    def command(self, path: str) -> str:
        return f"cat {shlex.quote(f'{path}/.verified')} 2>/dev/null || true"

    @staticmethod
    def default() -> str | None:
        return None

    def process(self, output: list[str]) -> str | None:
        return output[0].strip() or None


@dataclass(frozen=True)
class Room:
    free: int | None = None
    """Free bytes, for root, on the file system of the folder, which may not exist yet; None: df had no answer."""
    arrived: dict[str, int] = field(default_factory=dict)
    """Bytes of files that are being fetched, by file name."""
    mounted: bool = True
    """Whether the folder is, or will be, on a file system other than the root file system."""


class FreeRoom(FactBase[Room]):
    """Given a folder that may not exist yet, return the space there and the files in its .incoming."""

    def command(self, root: str) -> str:
        return (
            f'd={shlex.quote(root)}; r=$d; while [ ! -d "$d" ]; do d=$(dirname -- "$d"); done; '
            "printf 'free %s\\n' \"$(df -B1 --output=avail -- \"$d\" | tail -n 1 | tr -d ' ')\"; "
            '[ "$(stat -c %d -- "$d")" != "$(stat -c %d -- /)" ] || echo "unmounted -"; '
            "[ ! -d \"$r/.incoming\" ] || find \"$r/.incoming\" -type f ! -name '*.lock' -printf '%s %f\\n'"
        )

    @staticmethod
    def default() -> Room:
        return Room()

    def process(self, output: list[str]) -> Room:
        reply = [line.partition(" ")[::2] for line in output]
        free = reply[0][1].strip()
        arrived = {name.removesuffix(".verified"): int(size) for size, name in reply[1:] if size != "unmounted"}
        return Room(int(free) if free.isdigit() else None, arrived, mounted=("unmounted", "-") not in reply)


class OpenFolders(FactBase[tuple[str, ...]]):
    """Given the folder of models, return the folders in it that hold weights of ours and that users may enter."""

    def command(self, root: str) -> str:
        return (
            f'for f in {shlex.quote(root)}/[a-z]*/; do f=${{f%/}}; set -- "$f"/*/.verified; '
            '[ -e "$1" ] && [ ! -L "$f" ] || continue; '
            # A digit before the permissions is an inherited setgid bit, which lets nobody in.
            'case $(stat -c %a:%u -- "$f") in 700:0 | ?700:0) ;; *) echo "$f" ;; esac; done'
        )

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        return tuple(line for line in output if re.fullmatch(r"/.*/[a-z][a-z0-9-]*", line))


class ReadThrough(FactBase[bool]):
    """Given a note of read.sh, a folder and its digest, return whether the current folder was read completely."""

    def command(self, note: str, folder: str, digest: str) -> str:
        return (
            f'f={shlex.quote(folder)}; [ "$(cat {shlex.quote(f"{note}/.verified")} 2>/dev/null)" = '
            f'"{digest} $(stat -c \'%i %Y\' -- "$f/.verified" 2>/dev/null) $f" ] && echo yes || true'
        )

    @staticmethod
    def default() -> bool:
        return False

    def process(self, output: list[str]) -> bool:
        return output == ["yes"]
