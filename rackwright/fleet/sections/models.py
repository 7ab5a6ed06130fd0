"""`models`: what is served, by what, where, and under which names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, Tag

from rackwright.fleet.sections.canary import Canary
from rackwright.fleet.sections.forms import TEXT_OR_LIST
from rackwright.fleet.sections.licenses import License
from rackwright.fleet.sections.objectives import Objectives
from rackwright.fleet.source import Source
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.roles.vllm.settings import Settings as Vllm
from rackwright.values.base import Frozen
from rackwright.values.text import Name, ServedName

Runtime = LlamaCpp | Vllm


Members = Annotated[tuple[Name, ...], Field(min_length=1)]
"""One replica over these hosts; the first is where it answers. A group is all of its hosts."""
Places = Annotated[
    Annotated[Name, Tag("text")]
    | Annotated[
        tuple[Annotated[Annotated[Name, Tag("text")] | Annotated[Members, Tag("list")], TEXT_OR_LIST], ...],
        Field(min_length=1),
        Tag("list"),
    ],
    TEXT_OR_LIST,
]


class Placement(Frozen):
    on: Places
    """A group, a host, or a list of them; a list within it is one replica over several hosts."""
    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    """On each of these hosts."""
    gpus: Annotated[int, Field(ge=0, le=64)] = 1
    """Of each replica, on each of its hosts; 0 serves on the CPU."""


class Model(Frozen):
    source: Source
    license: License | None = None
    """Where its model card says none, or it has no card; stands for its adapters without one, too."""
    runtime: Annotated[Runtime, Field(discriminator="kind")]
    place: Annotated[tuple[Placement, ...], Field(min_length=1)]
    names: Annotated[tuple[ServedName, ...], Field(min_length=1)]
    """What clients may ask for."""
    context: Annotated[int, Field(ge=128, le=16_777_216)]
    """Tokens that one request may use, prompt and answer together."""
    objectives: Objectives | None = None
    """What its service must keep to: tried by `verify --full` and `bench`."""
    canary: Canary | None = None
    """An update's first replica has to stand the test of a part of the traffic before the others follow."""

    @property
    def adapters(self) -> Mapping[str, str]:
        """What is served beside it: served name → source."""
        return self.runtime.adapters if isinstance(self.runtime, Vllm) else {}

    @property
    def max_lora_rank(self) -> int:
        """The greatest rank of an adapter; 0: its runtime has none."""
        return self.runtime.max_lora_rank if isinstance(self.runtime, Vllm) else 0

    @property
    def served(self) -> tuple[str, ...]:
        """Every name that clients may ask for, its own first."""
        return (*self.names, *self.adapters)
