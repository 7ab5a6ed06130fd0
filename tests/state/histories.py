"""Random histories of several clients with the store in etcd, and an explicit model that each must fit.

No linearizability checker for Python is maintained, as far as is known, so the model is written out: what must follow
from which operation ended before which other one began. The faults and the choices of clients follow from the seed,
their timing doesn't: it is that of real processes.
"""

from __future__ import annotations

import math
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from rackwright.errors import HostError, LeasedError
from rackwright.remote.completed import Completed
from rackwright.state.etcd.etcd_store import EtcdStore
from rackwright.state.journal import Event
from rackwright.state.lease import Lease
from rackwright.state.lease_session import owner
from tests.etcd_cluster import Cluster, Member
from tests.state.test_store import entry
from tests.waiting import wait_until

CLIENTS = 3
SECONDS = 2.5
"""How long clients work and members fail."""
DOCUMENT = "rollout-1.json"


class End(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """No member answered: it has happened, or will, or never does."""


@dataclass(frozen=True)
class Operation:
    kind: str
    """acquire, append, keep, renew or release."""
    began: float
    ended: float
    end: End
    token: int = 0
    """Of the lease that it took or was done under."""
    value: str = ""
    """What it wrote: every value is written once."""

    @property
    def settled(self) -> float:
        """When it can't happen any more."""
        return math.inf if self.end is End.UNKNOWN else self.ended


@dataclass
class History:
    operations: list[Operation] = field(default_factory=list)
    journal: list[str] = field(default_factory=list)
    """Values of all entries in the end."""
    document: str | None = None
    """Value of the document in the end."""

    def of(self, kind: str, *ends: End) -> list[Operation]:
        return [one for one in self.operations if one.kind == kind and one.end in (ends or tuple(End))]


def wrong(history: History) -> list[str]:
    """Return what doesn't fit the model."""
    return [*_leases(history), *_journal(history), *_document(history)]


def _leases(history: History) -> Iterator[str]:
    taken = sorted(history.of("acquire", End.DONE), key=lambda one: one.token)
    for before, after in pairwise(taken):
        if before.token == after.token:
            yield f"token {after.token} was given twice"
        if after.ended < before.began:
            yield f"token {before.token} was given after the greater {after.token}"
    guarded = history.of("append", End.DONE) + history.of("keep", End.DONE) + history.of("renew", End.DONE)
    for taking in taken:
        for one in guarded:
            if one.token < taking.token and one.began > taking.ended:
                yield f"{one.kind} with token {one.token} succeeded after {taking.token} was given"


def _journal(history: History) -> Iterator[str]:
    places = {value: place for place, value in enumerate(history.journal)}
    if len(places) < len(history.journal):
        yield "an entry is there twice"
    appended = {one.value: one for one in history.of("append")}
    for value in history.journal:
        if value not in appended:
            yield f"{value} was written by nobody"
        elif appended[value].end is End.REFUSED:
            yield f"{value} is there, and was refused"
    done = [one for one in appended.values() if one.end is End.DONE]
    for one in done:
        if one.value not in places:
            yield f"{one.value} was acknowledged and is lost"
    there = [appended[value] for value in history.journal if value in appended]
    for before, after in pairwise(there):
        if before.token > after.token:
            yield f"{after.value} of an earlier lease follows {before.value}"
    for place, one in enumerate(there):
        for later in there[place + 1 :]:
            if later.settled < one.began:
                yield f"{later.value} had ended before {one.value} began, and follows it"


def _document(history: History) -> Iterator[str]:
    kept = history.of("keep")
    done = [one for one in kept if one.end is End.DONE]
    last = [one for one in kept if one.value == history.document]
    if history.document is None:
        if done:
            yield "the document was acknowledged and is lost"
    elif not last:
        yield f"the document is {history.document}, which nobody wrote"
    elif last[0].end is End.REFUSED:
        yield f"the document is {history.document}, which was refused"
    elif any(last[0].settled < one.began for one in done):
        yield f"the document is {history.document}, which was replaced"


@dataclass
class Client:
    """One client, until the time is over."""

    name: str
    store: EtcdStore
    choices: random.Random
    over: threading.Event
    operations: list[Operation] = field(default_factory=list)
    lease: Lease | None = None
    count: int = 0

    def work(self) -> None:
        while not self.over.is_set():
            if self.lease is None:
                self._acquire()
            else:
                self._write(self.lease)

    def _acquire(self) -> None:
        taken: list[Lease] = []
        end, began = self._ended(lambda: taken.append(self.store.acquire(owner(self.name, "here", "work"))))
        self.lease = taken[0] if taken else None
        self._note("acquire", began, end, taken[0].token if taken else 0)
        if end is End.REFUSED:
            self.over.wait(0.05)

    def _write(self, lease: Lease) -> None:
        kind = self.choices.choices(["append", "keep", "renew", "release", "pause"], [50, 20, 10, 10, 10])[0]
        self.count += 1
        value = f"{self.name}-{self.count}"
        if kind == "pause":
            self.over.wait(self.choices.uniform(1, 2))
            return
        acts: dict[str, Callable[[], object]] = {
            "append": lambda: self.store.append(lease, entry(Event.INTENT, detail=value)),
            "keep": lambda: self.store.keep(lease, DOCUMENT, value),
            "renew": lambda: self._renew(lease),
            "release": lambda: self.store.release(lease),
        }
        end, began = self._ended(acts[kind])
        self._note(kind, began, end, lease.token, value)
        if end is End.REFUSED or kind == "release":
            self.lease = None

    def _renew(self, lease: Lease) -> None:
        self.lease = self.store.renew(lease, self.choices.choice([None, None, 2]))

    def _ended(self, act: Callable[[], object]) -> tuple[End, float]:
        began = time.monotonic()
        try:
            act()
        except LeasedError:
            return End.REFUSED, began
        except HostError:
            return End.UNKNOWN, began
        return End.DONE, began

    def _note(self, kind: str, began: float, end: End, token: int = 0, value: str = "") -> None:
        self.operations.append(Operation(kind, began, time.monotonic(), end, token, value))


@dataclass
class Network:
    """Loses commands and answers, and delivers some commands late."""

    choices: random.Random
    late: ThreadPoolExecutor
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, run: Callable[[], Completed]) -> Completed:
        with self.lock:
            what = self.choices.choices(["well", "command", "answer", "late"], [80, 5, 8, 7])[0]
            seconds = self.choices.uniform(0, 1.5)
        if what == "well":
            return run()
        if what == "answer":
            run()
        if what == "late":
            self.late.submit(_later, run, seconds)
        raise HostError(f"lost the {what}", where="network")


def _later(run: Callable[[], Completed], seconds: float) -> None:
    threading.Event().wait(seconds)
    run()


def _fail(cluster: Cluster, choices: random.Random, over: threading.Event) -> None:
    """Kill, freeze and start members until the time is over."""
    while not over.wait(choices.uniform(0.1, 0.6)):
        member: Member = choices.choice(cluster.members)
        seconds = choices.uniform(0.1, 1.2)
        if choices.random() < 0.5:
            member.kill()
            over.wait(seconds)
            cluster.start(member)
        elif member.alive:
            member.signal(signal.SIGSTOP)
            over.wait(seconds)
            member.signal(signal.SIGCONT)


def lived(cluster: Cluster, seed: int) -> History:
    """Let clients work with the cluster while its members fail, and return what happened."""
    cluster.empty()
    choices = random.Random(seed)  # noqa: S311
    over = threading.Event()
    with ThreadPoolExecutor(50) as late:
        network = Network(random.Random(choices.random()), late)  # noqa: S311
        clients = [_client(cluster, number, network, choices, over) for number in range(CLIENTS)]
        threads = [threading.Thread(target=client.work) for client in clients]
        threads.append(threading.Thread(target=_fail, args=(cluster, random.Random(choices.random()), over)))  # noqa: S311
        for thread in threads:
            thread.start()
        over.wait(SECONDS)
        try:
            # On a busy machine, elections and lost answers may take all of that time.
            wait_until(lambda: any(one.end is End.DONE for client in clients for one in client.operations))
        finally:
            over.set()
        for thread in threads:
            thread.join()
        cluster.whole()
    store = cluster.store()
    operations = [one for client in clients for one in client.operations]
    return History(operations, [one.detail for one in store.entries()], store.kept(DOCUMENT))


def _client(cluster: Cluster, number: int, network: Network, choices: random.Random, over: threading.Event) -> Client:
    shells = cluster.shells()
    for shell in shells:
        shell.fault = network
    # Clients don't all ask the same member first.
    store = EtcdStore(shells[number:] + shells[:number], seconds=1, patience=1.0, limit=0.4)
    return Client(f"client{number}", store, random.Random(choices.random()), over)  # noqa: S311
