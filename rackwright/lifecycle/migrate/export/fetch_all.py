"""Fetch what the provider stores, by several threads: what it lists, and what the application has ids of."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rackwright.lifecycle.migrate.export.fetch import Differs, Fetch, lacking, missing
from rackwright.lifecycle.migrate.export.jobs import Job, Jobs
from rackwright.lifecycle.migrate.export.tally import Tally
from rackwright.lifecycle.migrate.provider_answers import Refused
from rackwright.lifecycle.migrate.provider_client import ProviderClient
from rackwright.lifecycle.migrate.provider_turns import Halt
from rackwright.lifecycle.migrate.replay.ask_part import join
from rackwright.migrate.export.export_line import ObjectLine
from rackwright.migrate.export.export_list import ExportList
from rackwright.migrate.export.ids_file import ids_in
from rackwright.migrate.export.kinds import (
    CHUNKS,
    FILES,
    KINDS,
    LISTED,
    NAMED,
    STORE_FILES,
    STORES,
    WEIGHTS,
    Kind,
    digest_of_item,
    files_named_in,
    id_of,
    may_change,
    path_of,
    weights_of,
)
from rackwright.migrate.export.part_files import NewFiles
from rackwright.migrate.folder_key import FolderKey

THREADS = 16
NOTED_AT_ONCE = 1000
NAMED_KINDS = frozenset(kind.name for kind in NAMED.values())


@dataclass
class Exporter:
    client: ProviderClient
    exports: ExportList
    key: FolderKey
    tally: Tally
    numbers: Iterator[int]
    """Those of new objects' files."""
    compare: bool = False
    """Whether what is complete is fetched again and compared."""
    accepted: frozenset[str] = frozenset()
    """Ids of files whose content may differ."""
    _jobs: Jobs = field(default_factory=Jobs)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _named: dict[str, str] = field(default_factory=dict)
    """Files that other objects name: id → by what."""
    _whole_lists: set[str] = field(default_factory=set)
    """Kinds that were listed to their end."""
    _whole_stores: set[str] = field(default_factory=set)
    """Vector stores whose files were."""
    _known_kinds: frozenset[str] = frozenset()
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _failures: list[BaseException] = field(default_factory=list)

    def run(self, ids: Path | None = None) -> None:
        """Fetch everything that isn't here, and note what is gone.

        Raise Halt, or RackwrightError if something can't be written.
        """
        self._known_kinds = frozenset(kind for kind, _ in self.exports.known)
        self._remember(_of(ids))
        with self._threads():
            for kind in LISTED:
                self._list(kind)
            # Where lists once were, an address without any is wrong: it has no object, and yet none is gone.
            if not self.tally.lists_nothing or (ids and not self._known_kinds - NAMED_KINDS):
                self._ask_by_id(_of(ids))
            self._jobs.join()
            for id, by in self._named.items():
                self._offer(Job(KINDS[FILES], id, named=by))
            self._jobs.join()
        self._note_gone()

    def _remember(self, ids: Iterator[tuple[Kind, str]]) -> None:
        """Note the ids of a file that are new, so that later runs ask for them, too, without the file."""
        new = (Job(kind, id) for kind, id in ids if (kind.name, id) not in self.exports.known)
        while some := list(islice(new, NOTED_AT_ONCE)):
            self.exports.append(*(lacking(one, "failed", "its turn hasn't come") for one in some))

    def _ask_by_id(self, ids: Iterator[tuple[Kind, str]]) -> None:
        """Ask for each id of a file, and for those of earlier ones; of these, not for what is gone."""
        for kind, id in ids:
            self._offer(Job(kind, id))
        for (name, id), one in list(self.exports.known.items()):
            if name in NAMED_KINDS and (one.damaged or not one.gone):
                self._offer(Job(KINDS[name], id))

    @contextmanager
    def _threads(self) -> Iterator[None]:
        # A second Ctrl-C ends the command without waiting for answers.
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(THREADS)]
        for one in threads:
            one.start()
        try:
            yield
        except Exception as error:
            self._failures.append(error)
        finally:
            self._jobs.close()
        join(threads)
        if self._failures:
            raise self._failures[0]

    def _work(self) -> None:
        while (job := self._jobs.take()) is not None:
            try:
                self._do(job)
            except BaseException as error:
                self._failures.append(error)
                self.client.turns.halt(error if isinstance(error, Halt) else Halt("it failed"))
                self._jobs.close()
            finally:
                self._jobs.done()

    def _list(self, kind: Kind) -> None:
        more = True
        try:
            for page in self.client.pages(kind.path):
                more = page.more
                for item in page.items:
                    self._listed(kind, item)
        except Refused as refused:
            if refused.why == "absent" and kind.name not in self._known_kinds:
                self.tally.not_offered.append(kind.name)
            else:
                self.tally.unlisted[kind.name] = refused.problem
            return
        if more:
            self.tally.unlisted[kind.name] = "its list has no end"
        else:
            self._whole_lists.add(kind.name)

    def _listed(self, kind: Kind, item: Mapping[str, Any]) -> None:
        id = id_of(item)
        if id is None:
            self.tally.unusable(kind.name)
            return
        self.tally.count(kind.name, "listed")
        self._named |= {file: f"{key} of {id}" for file, key in files_named_in(item).items()}
        if weights := weights_of(item):
            reason = f"this API hands out no weights ({id})"
            self._lacks(lacking(Job(Kind(WEIGHTS, ""), weights), "never", reason))
        self._offer(Job(kind, id, item))

    def _offer(self, job: Job) -> None:
        if self._new(job):
            self._jobs.offer(job)
        if self._jobs.closed:
            self.client.turns.refuse_halted()

    def _new(self, job: Job) -> bool:
        with self._lock:
            new = (job.kind.name, job.id) not in self._seen
            self._seen.add((job.kind.name, job.id))
        return new

    def _do(self, job: Job) -> None:
        """Fetch an object if it isn't here as it is there."""
        try:
            item = job.item if job.item is not None else self.client.get(path_of(job.kind, job.id))
            known = self.exports.known.get((job.kind.name, job.id))
            as_known = known is not None and known.complete and known.listed == digest_of_item(item)
            if as_known and not self.compare and not may_change(job.kind, item):
                self.tally.count(job.kind.name, "same")
                return
            self._fetch(job, item, as_known=as_known)
        except Refused as refused:
            self._lacks(missing(job, refused))
        except Differs as differs:
            self._lacks(lacking(job, "differs", str(differs)))

    def _fetch(self, job: Job, item: Mapping[str, Any], *, as_known: bool) -> None:
        kind, known = job.kind.name, self.exports.known.get((job.kind.name, job.id))
        earlier = self.exports.earlier(kind, job.id)
        with self._lock:
            files = NewFiles(self.exports.path, self.key, next(self.numbers))
        reuse, accept = not (known and known.damaged), job.id in self.accepted
        fetch = Fetch(self.client, job, files, earlier, reuse, accept, lambda one: self._listed_in(job, one))
        line = fetch.line(item)
        if kind == STORES:
            self._whole_stores.add(job.id)
        if as_known and earlier and line.pieces == earlier.pieces:
            self.tally.count(kind, "same")
            return
        self.exports.append(line)
        self.tally.count(kind, "changed" if earlier else "new", line.bytes)

    def _listed_in(self, job: Job, item: Mapping[str, Any]) -> None:
        """Take up a file that a vector store lists."""
        if job.kind.name != STORES:
            return
        id = id_of(item)
        if id is None:
            self.tally.unusable(STORE_FILES)
            return
        found = Job(CHUNKS, f"{job.id}/{id}", item)
        if self._new(found):
            self.tally.count(STORE_FILES, "listed")
            self._jobs.add(found)

    def _lacks(self, line: ObjectLine) -> None:
        known = self.exports.known.get((line.kind, line.id))
        if line.why == "absent" and known and known.exported is not None:
            self._gone(line.kind, line.id)
            return
        self.tally.lacks(line)
        if not (known and known.missing and known.reason == line.reason):
            self.exports.append(line)

    def _note_gone(self) -> None:
        for (kind, id), one in list(self.exports.known.items()):
            if not (one.gone and not one.damaged) and (kind, id) not in self._seen and self._is_listed(kind, id):
                self._gone(kind, id)

    def _is_listed(self, kind: str, id: str) -> bool:
        """Return whether a list that was read to its end would have this object."""
        if kind != STORE_FILES:
            return kind in self._whole_lists
        store = id.partition("/")[0]
        return store in self._whole_stores or (STORES in self._whole_lists and (STORES, store) not in self._seen)

    def _gone(self, kind: str, id: str) -> None:
        known = self.exports.known.get((kind, id))
        if known and known.damaged:
            reason = "its files here are damaged, and the provider doesn't have it any more: restore them from a copy"
            self._lacks(lacking(Job(KINDS[kind], id), "lost", reason))
        elif known and not known.gone:
            self.exports.append(ObjectLine(kind=kind, id=id, state="gone", at=time.time()))
            self.tally.count(kind, "gone")


def _of(ids: Path | None) -> Iterator[tuple[Kind, str]]:
    return ids_in(ids) if ids else iter(())
