"""Documents about a model that a control host stores, one per run: measurements, verdicts on canaries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from rackwright.state.formats import parse
from rackwright.state.shell import Shell, call
from rackwright.values.base import Stored

KEPT = 100
"""How many documents of one model are kept; older ones are removed."""

# A run's id starts with its UTC time by a controller's clock. That clock may be behind, so the new file always stays.
_WRITE = """set -eu
umask 022
mkdir -p -- "$1/$2/$3"
cd -- "$1/$2/$3"
trap 'rm -f -- ".$4.$$"' EXIT
cat >".$4.$$"
sync ".$4.$$"
mv -fT -- ".$4.$$" "$4.json"
sync .
ls | grep -vxF -e "$4.json" | sort | head -n "-$(($5 - 1))" | while IFS= read -r old; do rm -f -- "$old"; done
"""
_READ = """set -eu
cd -- "$1/$2/$3" 2>/dev/null || exit 0
for file in *.json; do
    [ ! -f "$file" ] || { printf '%s\\n' "$file"; cat -- "$file"; printf '\\036'; }
done
"""
_END = "\x1e"
"""RECORD SEPARATOR: never occurs in JSON text (RFC 7464)."""


class OfRun(Protocol):
    """What every document has."""

    @property
    def model(self) -> str: ...

    @property
    def run(self) -> str: ...

    def model_dump_json(self, *, indent: int) -> str: ...


Document = TypeVar("Document", bound=Stored)


@dataclass(frozen=True)
class Series(Generic[Document]):
    """Documents of one kind."""

    name: str
    """Name of their folder on the control host."""
    kind: type[Document]
    format: str
    """Name of their format, without the number."""
    what: str
    """What they are, for error messages."""

    def write(self, shell: Shell, document: OfRun, folder: str) -> None:
        """Store the document on the control host's disk, in place of an earlier one of the same run. Raise HostError
        if it can't be written."""
        content = document.model_dump_json(indent=1) + "\n"
        words = (folder, self.name, document.model, document.run, KEPT)
        call(shell, _WRITE, *words, stdin=content, what=f"storing {self.what}")

    def read(self, shell: Shell, model: str, folder: str) -> tuple[Document, ...]:
        """Return the model's documents, oldest first. Raise RackwrightError if one is damaged or too new."""
        text = call(shell, _READ, folder, self.name, model, what=f"reading {self.what}")
        return tuple(self._parsed(text, f"{shell.name}: {folder}/{self.name}/{model}"))

    def _parsed(self, text: str, where: str) -> Iterator[Document]:
        for written in text.split(_END)[:-1]:
            name, _, document = written.partition("\n")
            yield parse(self.kind, self.format, document, f"{where}/{name}")
