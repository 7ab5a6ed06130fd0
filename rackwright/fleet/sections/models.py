"""`models`: the models to serve, with their runtimes, hosts and names, or with the cloud that answers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from rackwright.fleet.sections.canary import Canary
from rackwright.fleet.sections.clouds import CloudModel
from rackwright.fleet.sections.forms import TEXT_OR_LIST
from rackwright.fleet.sections.licenses import License
from rackwright.fleet.sections.objectives import Objectives
from rackwright.fleet.source import Source
from rackwright.launch import Task
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.roles.vllm.settings import Settings as Vllm
from rackwright.values.base import Frozen
from rackwright.values.text import Name, ServedName

Runtime = LlamaCpp | Vllm


Members = Annotated[tuple[Name, ...], Field(min_length=1)]
"""One replica over these hosts; the first one answers. A group means all of its hosts."""
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
    """A group, a host, or a list of them; a nested list is one replica over several hosts."""
    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    """The number of replicas on each of these hosts."""
    gpus: Annotated[int, Field(ge=0, le=64)] = 1
    """The number of GPUs of each replica, on each of its hosts; 0 means that it runs on the CPU."""


class Model(Frozen):
    source: Source
    license: License | None = None
    """The license, if the model card names none or there is no card; also for adapters without their own."""
    task: Task = Task.GENERATE
    """What clients ask it for: `generate` (text) or `embed` (embeddings)."""
    runtime: Annotated[Runtime, Field(discriminator="kind")]
    place: Annotated[tuple[Placement, ...], Field(min_length=1)]
    names: Annotated[tuple[ServedName, ...], Field(min_length=1)]
    """The names that clients use in `model`."""
    context: Annotated[int, Field(ge=128, le=16_777_216)]
    """The most tokens of one request, prompt and answer together."""
    objectives: Objectives | None = None
    """Service-level objectives; `verify --full` and `bench` test them."""
    canary: Canary | None = None
    """Test the first updated replica with a share of the traffic before the others are updated."""
    routing: Literal["prefix", "least_busy"] | None = None
    """Which replica a request goes to: `prefix`, the one that has computed the beginning of its conversation, or the
    least busy one. If absent, `prefix` for text and `least_busy` for embeddings, which have no such beginning."""
    cloud: Name | None = None
    """Which of `clouds` answers clients for now, although the model has replicas; the replicas do if absent."""

    @property
    def by_prefix(self) -> bool:
        """Whether a conversation goes to the replica that has computed its beginning."""
        return self.routing == "prefix" if self.routing else self.task is Task.GENERATE

    @property
    def adapters(self) -> Mapping[str, str]:
        """LoRA adapters: served name → source."""
        return self.runtime.adapters if isinstance(self.runtime, Vllm) else {}

    @property
    def max_lora_rank(self) -> int:
        """The greatest rank of an adapter; 0 if its runtime has no adapters."""
        return self.runtime.max_lora_rank if isinstance(self.runtime, Vllm) else 0

    @property
    def served(self) -> tuple[str, ...]:
        """Every name that clients may use, its own first."""
        return (*self.names, *self.adapters)


_ENGINES, _ONLY_CLOUD = "with engines", "only a cloud"
"""Not `cloud`: that is a key, and errors would be placed there."""
_OF_ENGINES = frozenset(("source", "runtime", "place", "context"))


def _form(value: object) -> str:
    if isinstance(value, dict):
        return _ONLY_CLOUD if "cloud" in value and not _OF_ENGINES & value.keys() else _ENGINES
    return _ONLY_CLOUD if isinstance(value, CloudModel) else _ENGINES


Routed = Annotated[Annotated[Model, Tag(_ENGINES)] | Annotated[CloudModel, Tag(_ONLY_CLOUD)], Discriminator(_form)]
"""What clients may ask for. With one of the keys of an engine, it is a model with engines."""
