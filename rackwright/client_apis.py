"""The APIs that clients use: their paths, and which versions of a runtime serve them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from rackwright.launch import Task

Version = TypeVar("Version", bound=tuple[int, ...])

GENERATES, EMBEDS = frozenset((Task.GENERATE,)), frozenset((Task.EMBED,))


@dataclass(frozen=True)
class ClientApi:
    """One path of an engine that clients may use."""

    path: str
    tasks: frozenset[Task]
    """What a model must be for."""
    since: str = ""
    """The first version of the runtime that serves it as far as we know; empty: every one that rackwright runs."""


BASICS = (
    ClientApi("/v1/chat/completions", GENERATES),
    ClientApi("/v1/completions", GENERATES),
    ClientApi("/v1/embeddings", EMBEDS),
)
"""What every runtime serves, and what a cloud is asked for."""


def served(
    apis: Collection[ClientApi], task: Task, version: str, order: Callable[[str], tuple[int, ...] | None]
) -> tuple[str, ...]:
    """Return the paths that this version serves for a model of this task.

    `order` returns what versions are compared by; None for one whose place isn't known, which gets the basics only.
    """
    own = order(version)
    return tuple(
        api.path
        for api in apis
        if task in api.tasks and (not api.since or (own is not None and own >= (order(api.since) or ())))
    )
