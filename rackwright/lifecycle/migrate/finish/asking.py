"""What a provider says of an object that should be gone, and of a list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.lifecycle.migrate.provider_answers import Refused
from rackwright.lifecycle.migrate.provider_client import ProviderClient
from rackwright.migrate.export.kinds import JOBS, KINDS, id_of, path_of
from rackwright.migrate.finish.order import RUNNING, Key

_ABSENT = (404, 410)
"""Not 405 and 501: these say nothing about the object."""


@dataclass(frozen=True)
class Absence:
    """Whether an object is gone."""

    problem: str = ""
    """What shows that it isn't, or why nobody knows; "": it is."""

    @property
    def shown(self) -> bool:
        return not self.problem


def absence(client: ProviderClient, key: Key) -> Absence:
    """Ask for the object. Raise Halt."""
    try:
        client.get(path_of(KINDS[key[0]], key[1]))
    except Refused as refused:
        if refused.status in _ABSENT:
            return Absence()
        # An object that is too large to read is there.
        there = refused.why == "large" or refused.status == 200
        return Absence("it is still there" if there else f"nothing shows that it is gone: {refused.problem}")
    return Absence("it is still there")


def ids_listed(client: ProviderClient, kind: str) -> Iterator[str]:
    """Yield the ids that the provider lists. Raise Refused, also if the list has no end or an id can't be used."""
    more = True
    for page in client.pages(KINDS[kind].path):
        more = page.more
        for item in page.items:
            id = id_of(item)
            if id is None:
                raise Refused("failed", "it lists objects without an id that can be used")
            yield id
    if more:
        raise Refused("failed", "its list has no end")


def running_jobs(client: ProviderClient) -> Iterator[Key]:
    """Yield the batches and fine-tuning jobs that haven't ended. Raise Halt.

    A list that is refused has none: the export says so.
    """
    for kind in ("batches", JOBS):
        try:
            for page in client.pages(KINDS[kind].path):
                for item in page.items:
                    if item.get("status") in RUNNING and (id := id_of(item)):
                        yield kind, id
        except Refused:
            continue
