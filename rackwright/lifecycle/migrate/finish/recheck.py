"""`migrate recheck`: ask the provider again whether everything that was deleted is still gone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from rackwright.errors import RackwrightError, UsageError
from rackwright.lifecycle.migrate.export.opened import opened
from rackwright.lifecycle.migrate.export.procedure import LIMITS, MOST_FAILED, MOST_LIMITED
from rackwright.lifecycle.migrate.finish.asking import absence, ids_listed
from rackwright.lifecycle.migrate.finish.delete import BATCH, THREADS
from rackwright.lifecycle.migrate.finish.deleting import refuse_other
from rackwright.lifecycle.migrate.finish.standing import finished
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.plan_provider import left_provider
from rackwright.lifecycle.migrate.provider_answers import Refused
from rackwright.lifecycle.migrate.provider_client import ProviderClient
from rackwright.lifecycle.migrate.provider_turns import Halt, Turns
from rackwright.migrate.finish.deletions import Deletions
from rackwright.migrate.finish.order import LISTS, ORDER, Key
from rackwright.migrate.finish.state import MOST_LEFT, FinishState, Left, Rechecked
from rackwright.report.words import counted
from rackwright.state.due_again import DueRecheck, put_due
from rackwright.stopping import stoppable


def recheck(place: Place) -> Rechecked:
    """Ask for each deleted object, and read the lists, with `provider.admin_key` alone; note it and return it.

    Raise UsageError if the migration hasn't ended, RackwrightError if this machine lacks the list of deletions, or if
    the provider can't be asked to the end.
    """
    state = refuse_unended(place)
    with opened(place, other=False) as exports:
        deletions = Deletions(exports.path).load()
        refuse_other(deletions, state)
        found = _asked(place, state, deletions)
    place.note("recheck", _line(found), found)
    due = datetime.fromtimestamp(state.due, UTC).replace(microsecond=0) if state.due and not found.good else None
    put_due(place.session.store, DueRecheck(migration=place.plan.migration, due=due))
    return found


def refuse_unended(place: Place) -> FinishState:
    """Return the state of an end that is done. Raise UsageError otherwise."""
    found, name = finished(place.session.store, place.log), place.plan.migration
    if found.state is None or not found.done:
        raise UsageError("the migration hasn't ended", where=name, next=f"rackwright migrate finish {name}")
    return found.state


def _asked(place: Place, state: FinishState, deletions: Deletions) -> Rechecked:
    fleet, plan = place.session.fleet, place.plan
    with stoppable(place.console.heard) as stopping:
        turns = Turns(stopping=stopping, most_limited=MOST_LIMITED, most_failed=MOST_FAILED)
        with left_provider(fleet, plan, state.reached, limits=LIMITS, turns=turns, connections=THREADS + 1) as client:
            asking = _Rechecking(client, deletions)
            try:
                asking.run()
            except Halt as halt:
                raise RackwrightError(
                    f"ended early: {halt.why}",
                    where=state.reached.url,
                    next=f"rackwright migrate recheck {plan.migration}",
                ) from None
    return asking.result()


@dataclass
class _Rechecking:
    client: ProviderClient
    deletions: Deletions
    _absent: Counter[str] = field(default_factory=Counter)
    _back: dict[Key, str] = field(default_factory=dict)
    _unlisted: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        for kind in ORDER:
            keys = [key for key, _ in self.deletions.of(kind) if self.deletions.absent(key)]
            self._each(keys)
            if keys and kind in LISTS:
                self._list(kind)

    def result(self) -> Rechecked:
        back = (Left(kind=kind, id=id, why="kept", reason=why) for (kind, id), why in self._back.items())
        return Rechecked(
            at=time.time(),
            absent=dict(self._absent),
            back=tuple(islice(back, MOST_LEFT)),
            more=max(len(self._back) - MOST_LEFT, 0),
            unlisted=self._unlisted,
        )

    def _each(self, keys: Iterable[Key]) -> None:
        waiting = iter(keys)
        with ThreadPoolExecutor(THREADS) as pool:
            while batch := tuple(islice(waiting, BATCH)):
                for key, found in zip(batch, pool.map(lambda key: absence(self.client, key), batch), strict=True):
                    if found.shown:
                        self._absent[key[0]] += 1
                    else:
                        self._back[key] = found.problem

    def _list(self, kind: str) -> None:
        try:
            listed = [(kind, id) for id in ids_listed(self.client, kind)]
        except Refused as refused:
            self._unlisted[kind] = refused.problem
            return
        for key in listed:
            if self.deletions.absent(key) and key not in self._back:
                self._absent[kind] -= 1
                self._back[key] = "the provider lists it again"


def _line(found: Rechecked) -> str:
    text = f"{counted(sum(found.absent.values()), 'object')} still gone"
    if found.back:
        text += f", {len(found.back) + found.more:,} not"
    return f"{text}; not listed: {', '.join(found.unlisted)}" if found.unlisted else text
