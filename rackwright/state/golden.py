"""Engines' answers to the fixed prompt, stored on the control hosts: the first answer of each kind of engine."""

from __future__ import annotations

import hashlib

from rackwright.roles.replica.question import GoldenAnswer
from rackwright.state.formats import Moment, parse
from rackwright.state.store import ControlStore
from rackwright.values.base import Stored


class Kind(Stored):
    """What engines have in common that must give the same answer."""

    model: str
    digest: str
    """Digest of the weights."""
    runtime: str
    """Like llama_cpp-b10434."""
    build: str
    """Digest of what the runtime was built from."""
    processor: str
    """gpu or cpu: they run different kernels."""
    settings: tuple[str, ...]
    """The runtime's settings that change answers, like `dtype="float16"`."""
    prompt: int
    """Version of the prompt."""

    @property
    def key(self) -> str:
        """Sixteen digits that identify it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class Golden(Stored):
    """The first answer of a kind, and who recorded it."""

    format: str = "golden/1"
    kind: Kind
    answer: GoldenAnswer
    replica: str
    """HOST/MODEL@N that gave it."""
    run: str
    when: Moment
    who: str


def golden_path(kind: Kind) -> str:
    """Return the answer's path among the documents of a ControlStore."""
    return f"golden/{kind.model}/{kind.key}.json"


def read_golden(store: ControlStore, kind: Kind) -> Golden | None:
    """Return the stored answer, None if there is none yet. Raise RackwrightError if it is damaged or too new."""
    text = store.read(golden_path(kind))
    return _parsed(store, kind, text) if text else None


def write_golden(store: ControlStore, golden: Golden) -> Golden:
    """Store the answer unless there is one already; return the one that is stored afterwards."""
    kind, content = golden.kind, golden.model_dump_json(indent=1) + "\n"
    return _parsed(store, kind, store.put_first(golden_path(kind), content))


def _parsed(store: ControlStore, kind: Kind, text: str) -> Golden:
    return parse(Golden, "golden", text, store.place(golden_path(kind)))
