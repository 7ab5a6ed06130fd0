"""One run of the deletion: what is asked, what became of it, and how it is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from rackwright.errors import ProofError, RackwrightError
from rackwright.lifecycle.migrate.export.opened import opened
from rackwright.lifecycle.migrate.export.procedure import LIMITS, MOST_FAILED, MOST_LIMITED
from rackwright.lifecycle.migrate.finish.asking import running_jobs
from rackwright.lifecycle.migrate.finish.delete import THREADS, Deleter
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.plan_provider import plan_provider
from rackwright.lifecycle.migrate.provider_client import ProviderClient
from rackwright.lifecycle.migrate.provider_turns import Halt, Turns
from rackwright.migrate.finish.deletions import Deletions
from rackwright.migrate.finish.state import FinishState
from rackwright.stopping import stoppable

MOST_SHOWN = 20


@dataclass(frozen=True)
class Deleted:
    state: FinishState
    stopped: str
    """Why it ended early; "": it didn't."""

    @property
    def line(self) -> str:
        """Return it in one line, for the log."""
        ends = self.state.kinds.values()
        parts = {
            "deleted": sum(one.deleted for one in ends),
            "gone already": sum(one.gone for one in ends),
            "still there": sum(one.kept for one in ends),
            "without a copy": sum(one.uncopied for one in ends),
            "new": sum(one.why == "new" for one in self.state.left),
        }
        text = ", ".join(f"{number:,} {name}" for name, number in parts.items() if number or name == "deleted")
        return f"{text}; stopped: {self.stopped}" if self.stopped else text

    @property
    def open_lines(self) -> tuple[str, ...]:
        """Return the first things that are left and shouldn't be."""
        return tuple(islice(self._open(), MOST_SHOWN))

    def _open(self) -> Iterator[str]:
        yield from (f"{kind}: its list can't be read: {why}" for kind, why in self.state.unlisted.items())
        yield from (f"{one.kind} {one.id}: {one.reason}" for one in self.state.left if one.why != "uncopied")


def delete_all(place: Place, state: FinishState) -> Deleted:
    """Delete at the provider what has a whole copy in the export; return what became of it, with the new state.

    Raise RackwrightError if the list of deletions isn't the one that the log knows, ProofError, before anything is
    deleted, if a batch or fine-tuning job hasn't ended.
    """
    with opened(place, other=False) as exports:
        deletions = Deletions(exports.path).load()
        refuse_other(deletions, state)
        with asked_provider(place) as client:
            deleter, stopped = Deleter(client, exports, deletions, place.console.say), ""
            try:
                _refuse_running(client, place)
                deleter.run()
            except Halt as halt:
                stopped = halt.why
        waivers = place.plan.finish.waivers
        update = {
            "kinds": deleter.ends(),
            "left": deleter.left(),
            "unlisted": {kind: why for kind, why in deleter.unlisted.items() if kind not in waivers},
            "deletions_bytes": deletions.length,
            "deletions_sha256": deletions.sha256(),
        }
    return Deleted(state.model_copy(update=update), stopped)


@contextmanager
def asked_provider(place: Place) -> Iterator[ProviderClient]:
    """Yield a patient client of the plan's provider, which Ctrl-C stops."""
    with stoppable(place.console.heard) as stopping:
        turns = Turns(stopping=stopping, most_limited=MOST_LIMITED, most_failed=MOST_FAILED)
        fleet, plan = place.session.fleet, place.plan
        with plan_provider(fleet, plan, limits=LIMITS, turns=turns, connections=THREADS + 1) as client:
            yield client


def refuse_other(deletions: Deletions, state: FinishState) -> None:
    """Raise RackwrightError unless the list begins as the log knows it."""
    known = state.deletions_sha256
    if known and deletions.sha256(state.deletions_bytes) != known:
        raise RackwrightError(
            "isn't the list of deletions that the log knows, or is an older copy",
            where=str(deletions.place),
            should="copy the export's folder from the machine that deleted",
        )


def _refuse_running(client: ProviderClient, place: Place) -> None:
    running = [f"{kind}: {id}" for kind, id in islice(running_jobs(client), MOST_SHOWN)]
    if running:
        name = place.plan.migration
        raise ProofError(
            "batches or fine-tuning jobs haven't ended",
            where=name,
            should="wait for their end, or cancel them at the provider",
            listed=running,
            next=f"rackwright migrate finish {name} --execute",
        )
