"""Delete at the provider what the export has, object by object, and see that it is gone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from rackwright.lifecycle.migrate.finish.asking import absence, ids_listed
from rackwright.lifecycle.migrate.provider_answers import Refused
from rackwright.lifecycle.migrate.provider_client import ProviderClient
from rackwright.migrate.export.export_list import ExportList
from rackwright.migrate.export.kinds import KINDS, STORE_FILES, STORES, path_of
from rackwright.migrate.finish.deletions import Deletions
from rackwright.migrate.finish.order import LISTS, NO_DELETION, ORDER, Copy, Key, objects_of, store_of
from rackwright.migrate.finish.state import MOST_LEFT, KindEnd, Left
from rackwright.report.words import counted

THREADS = 8
BATCH = 64
"""Objects that are taken up together; Ctrl-C waits for no more than these."""
CHECKS = 3
"""How often what is still there is asked for again: a provider may need a moment."""
REST = 2.0
"""Seconds before that."""
SAY_SECONDS = 10.0


@dataclass
class Deleter:
    client: ProviderClient
    exports: ExportList
    deletions: Deletions
    say: Callable[[str], None]
    empty: dict[str, float] = field(default_factory=dict)
    """Kind → when its list had nothing of what was deleted."""
    unlisted: dict[str, str] = field(default_factory=dict)
    new: list[Left] = field(default_factory=list)
    """The first objects that the export doesn't know."""
    _said: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Delete every object that has a whole copy; afterwards `deletions` says what became of each.

        What a run that was killed has asked for counts as deleted if it is gone. Raise Halt if the provider can't be
        asked any further, RackwrightError if the list of deletions can't be written.
        """
        for kind in ORDER:
            whole = [key for key, copy in objects_of(self.exports, kind) if copy is Copy.WHOLE]
            self._each([key for key in whole if not self.deletions.absent(key)], self._delete)
            self._look_again(kind)
            if kind in LISTS:
                self._list(kind)
        for kind in NO_DELETION.keys() & LISTS:
            self._find_new(kind, self._listed(kind))

    def ends(self) -> dict[str, KindEnd]:
        """Return what became of each kind."""
        counts, found = self.deletions.counts(), {}
        for kind in (*ORDER, *NO_DELETION):
            copies = Counter(copy for _, copy in objects_of(self.exports, kind))
            end = KindEnd(
                copied=copies[Copy.WHOLE],
                deleted=counts[kind, "deleted"],
                gone=counts[kind, "gone"],
                kept=counts[kind, "kept"] + counts[kind, "asked"],
                uncopied=copies[Copy.NONE] if kind not in NO_DELETION else 0,
                staying=copies.total() if kind in NO_DELETION else 0,
                empty=self.empty.get(kind),
            )
            if copies or end.kept:
                found[kind] = end
        return found

    def left(self) -> tuple[Left, ...]:
        """Return the first objects that the provider still has, although it shouldn't or without a copy."""
        return tuple(islice(self._left(), MOST_LEFT))

    def _left(self) -> Iterator[Left]:
        yield from self.new
        for kind in ORDER:
            for key, state in self.deletions.of(kind):
                if state in ("kept", "asked"):
                    kept = self.deletions.kept.get(key)
                    yield Left(kind=kind, id=key[1], why="kept", reason=kept.reason if kept else "")
            for key, copy in objects_of(self.exports, kind):
                if copy is Copy.NONE and key not in self.deletions.known:
                    reason = self.exports.known[key].reason or "it is part of a vector store without a whole copy"
                    yield Left(kind=kind, id=key[1], why="uncopied", reason=reason)

    def _each(self, keys: Iterable[Key], do: Callable[[Key], None]) -> None:
        waiting = iter(keys)
        with ThreadPoolExecutor(THREADS) as pool:
            while batch := tuple(islice(waiting, BATCH)):
                # The results are waited for, and the first failure is raised.
                for _ in pool.map(do, batch):
                    pass
                self._progress()

    def _delete(self, key: Key) -> None:
        """Delete one object, and note what became of it."""
        asked = self.deletions.asked(key)
        self.deletions.note(key, "asked")
        if key[0] == STORE_FILES:
            # It goes with its vector store.
            asked = self.deletions.known.get((STORES, store_of(key) or "")) == "deleted"
            answer = f"its vector store {'was' if asked else 'was not'} deleted"
        else:
            try:
                self.client.delete(path_of(KINDS[key[0]], key[1]))
                asked, answer = True, "its deletion was accepted"
            except Refused as refused:
                answer = f"its deletion was refused: {refused.problem}"
        found = absence(self.client, key)
        if found.shown:
            self.deletions.note(key, "deleted" if asked else "gone")
        else:
            self.deletions.note(key, "kept", f"{answer}, and {found.problem}", accepted=asked)

    def _look_again(self, kind: str) -> None:
        """Ask again for what should be gone and isn't."""
        for _ in range(CHECKS):
            kept = [key for key, one in list(self.deletions.kept.items()) if key[0] == kind and one.accepted]
            if not kept:
                return
            self.client.turns.rest(REST)
            self._each(kept, self._seen_again)

    def _seen_again(self, key: Key) -> None:
        if absence(self.client, key).shown:
            self.deletions.note(key, "deleted")

    def _list(self, kind: str) -> None:
        """See that the list has nothing of what was deleted; what it still has counts as kept."""
        for check in range(CHECKS):
            listed = self._listed(kind)
            still = [key for key in listed or () if self.deletions.absent(key)]
            if not still:
                break
            if check + 1 < CHECKS:
                self.client.turns.rest(REST)
        for key in still:
            why = "its deletion was accepted, and the provider's list still has it"
            self.deletions.note(key, "kept", why, accepted=True)
        if listed is not None and not still:
            self.empty[kind] = time.time()
        self._find_new(kind, listed)

    def _listed(self, kind: str) -> set[Key] | None:
        """Return what the provider lists; None if nobody knows."""
        try:
            return {(kind, id) for id in ids_listed(self.client, kind)}
        except Refused as refused:
            known = any(True for _ in objects_of(self.exports, kind))
            if known or refused.why != "absent":
                self.unlisted[kind] = refused.problem
            return None

    def _find_new(self, kind: str, listed: set[Key] | None) -> None:
        for key in sorted(listed or ()):
            if key not in self.exports.known and len(self.new) < MOST_LEFT:
                self.new.append(Left(kind=kind, id=key[1], why="new", reason="it isn't in the export"))

    def _progress(self) -> None:
        if time.monotonic() - self._said < SAY_SECONDS:
            return
        self._said = time.monotonic()
        counts = self.deletions.counts()
        done = sum(number for (_, state), number in counts.items() if state == "deleted")
        kept = sum(number for (_, state), number in counts.items() if state == "kept")
        self.say(f"{counted(done, 'object')} deleted{f', {kept:,} still there' if kept else ''}")
