"""Documents about a model that control hosts store, one per run: measurements, verdicts on canaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from rackwright.state.formats import parse
from rackwright.state.store import ControlStore
from rackwright.values.base import Stored

KEPT = 100
"""How many documents of one model are kept; older ones are removed."""


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
    """Name of their folder."""
    kind: type[Document]
    format: str
    """Name of their format, without the number."""

    def write(self, store: ControlStore, document: OfRun) -> None:
        """Store the document, in place of an earlier one of the same run. Raise HostError if it can't be stored."""
        # A run's id starts with its UTC time, so names sort by time.
        content = document.model_dump_json(indent=1) + "\n"
        store.put(f"{self._folder(document.model)}/{document.run}.json", content, KEPT)

    def read(self, store: ControlStore, model: str) -> tuple[Document, ...]:
        """Return the model's documents, oldest first. Raise RackwrightError if one is damaged or too new."""
        folder = self._folder(model)
        found = store.read_all(folder).items()
        return tuple(parse(self.kind, self.format, text, store.place(f"{folder}/{name}")) for name, text in found)

    def _folder(self, model: str) -> str:
        return f"{self.name}/{model}"
