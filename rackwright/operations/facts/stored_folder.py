"""What a folder of verified files holds, and what has arrived of files that are on their way."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from pyinfra.api.facts import FactBase

from rackwright.values.file import File


@dataclass(frozen=True)
class Stored:
    digest: str | None = None
    """From the folder's marker, written after every file was hashed; None: not there, or not finished."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes by path within the folder."""

    def holds(self, digest: str, files: tuple[File, ...]) -> bool:
        """Whether the folder was verified as this digest, and still has exactly these files by size."""
        return self.digest == digest and self.sizes == {file.path: file.size for file in files}


class StoredFolder(FactBase[Stored]):
    """Given a folder, return its marker and its files' sizes. Cheap: nothing is hashed."""

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


class Marker(FactBase[str | None]):
    """Given a folder, return the digest that it was verified as. For one of many files: none of them is listed."""

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
    """Bytes free for root where the folder is, or will be made; None: df had no answer."""
    arrived: dict[str, int] = field(default_factory=dict)
    """Bytes by file name of what is on its way."""
    mounted: bool = True
    """Whether it is, or will be, on another file system than the system itself."""


class FreeRoom(FactBase[Room]):
    """Given a folder that may not exist yet, return the space there and what has arrived in its .incoming."""

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


class ReadThrough(FactBase[bool]):
    """Given a note of read.sh, a folder and its digest, return whether that folder as it is now was read through."""

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
