"""One key can't take all slots, nor the whole queue: its limit by default, and who gets the next free slot.

And what is queued is answered before the only replica goes down.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from types import MappingProxyType

import pytest

from rackwright.roles.gateway.settings import Key
from rackwright.values.priority import NUMBERS
from tests.gateway.stack import KEYS, Stack, digest, eventually, running_stack
from tests.gateway.test_downtime import code, reloaded
from tests.gateway.test_limits import refusal

HOG, OTHER, THIRD = "limited", "good", "wrong"


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    with running_stack() as stack:
        yield stack


def known(name: str, concurrency: int | None = None, version: int = 0, priority: int = 0) -> Key:
    return Key(
        id=name, sha256=digest(KEYS[name]), concurrency=concurrency, version=version, owner=name, priority=priority
    )


def configure(
    stack: Stack,
    *,
    slots: int = 2,
    queue_timeout: int = 60,
    default: int = 100,
    priorities: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Give the model so many slots, and let all keys in."""
    first, *others = stack.settings.models
    server = first.servers[0].model_copy(update={"slots": slots})
    changed = {
        "models": (first.model_copy(update={"servers": (server,)}), *others),
        "keys": tuple(known(name, priority=priorities.get(name, 0)) for name in (HOG, OTHER, THIRD)),
        "queue_timeout_seconds": queue_timeout,
        "key_concurrency": default,
    }
    stack.write(stack.settings.model_copy(update=changed))
    stack.gateway.reload()
    stack.reset()


class Clients:
    """Requests in flight, each from a thread and with a name like good-2. The engine holds them until let go."""

    def __init__(self, stack: Stack, pool: ThreadPoolExecutor) -> None:
        self.stack, self.pool = stack, pool
        self.engine = stack.engines["assistant"]
        self.engine.hold = True
        self.numbers = {key: count(1) for key in KEYS}
        self.statuses: dict[str, Future[int]] = {}

    def send(self, *keys: str) -> None:
        """Send a request of each key; return when the engine or the queue has it."""
        for key in keys:
            before, name = self.arrived, f"{key}-{next(self.numbers[key])}"
            body = json.dumps({"model": "assistant", "messages": [], "user": name}).encode()
            self.statuses[name] = self.pool.submit(self._status, key, body)
            eventually(lambda before=before: self.arrived > before and self.settled)  # type: ignore[misc]

    def _status(self, key: str, body: bytes) -> int:
        response = self.stack.send(key=key, body=body)
        response.read()
        return response.status

    def answer(self, answers: int = 1) -> None:
        """Let the engine finish answers, one by one; return when the next request has the last one's slot."""
        for _ in range(answers):
            before = len(self.order)
            self.engine.let_go()
            eventually(lambda before=before: len(self.order) > before)  # type: ignore[misc]

    @property
    def arrived(self) -> int:
        """Return how many requests a slot or the queue has taken so far. Those that left the queue still count."""
        return int(self._of_backend("stot"))

    @property
    def queued(self) -> int:
        return int(self._of_backend("qcur"))

    @property
    def settled(self) -> bool:
        """Return whether each request of the model has a slot or is in the queue: HAProxy counts it before that."""
        rows = self._rows
        (backend,) = (row for row in rows if row["svname"] == "BACKEND")
        slots = sum(int(row["scur"]) for row in rows if row is not backend)
        return int(backend["scur"]) == slots + int(backend["qcur"])

    @property
    def order(self) -> list[str]:
        """Return the names of the requests that the engine has got, in their order."""
        return [json.loads(request.body)["user"] for request in self.engine.requests]

    def _of_backend(self, column: str) -> str:
        return next(row[column] for row in self._rows if row["svname"] == "BACKEND")

    @property
    def _rows(self) -> list[dict[str, str]]:
        rows = csv.DictReader(self.stack.gateway.ask("show stat").removeprefix("# ").splitlines())
        return [row for row in rows if row["pxname"] == "model.assistant"]


@contextmanager
def clients(stack: Stack) -> Iterator[Clients]:
    with ThreadPoolExecutor(80) as pool:
        try:
            yield Clients(stack, pool)
        finally:
            stack.engines["assistant"].hold = False
            stack.engines["assistant"].let_go(1000)


def test_another_key_does_not_wait_for_what_a_key_has_queued(own: Stack) -> None:
    configure(own, slots=2)
    with clients(own) as sending:
        sending.send(*[HOG] * 62, OTHER)
        assert (len(sending.order), sending.queued) == (2, 61)
        sending.answer()
        assert sending.order[2:] == [f"{OTHER}-1"]


def test_requests_of_one_key_are_answered_in_their_order(own: Stack) -> None:
    """Also one that came when there were more than there are now."""
    configure(own, slots=1)
    with clients(own) as sending:
        sending.send(*[HOG] * 6)
        sending.answer(4)
        sending.send(HOG, HOG)
        sending.answer(3)
        assert sending.order == [f"{HOG}-{number}" for number in range(1, 9)]


def test_keys_that_have_no_more_than_all_slots_are_answered_in_their_order(own: Stack) -> None:
    configure(own, slots=2)
    with clients(own) as sending:
        sending.send(HOG, HOG, OTHER, THIRD, OTHER, THIRD)
        sending.answer(4)
        assert sending.order[2:] == [f"{OTHER}-1", f"{THIRD}-1", f"{OTHER}-2", f"{THIRD}-2"]


def test_the_next_slot_is_for_the_highest_priority_whoever_came_first(own: Stack) -> None:
    configure(own, slots=1, priorities={HOG: NUMBERS["low"], OTHER: NUMBERS["high"]})
    with clients(own) as sending:
        sending.send(HOG, HOG, THIRD, OTHER, THIRD, OTHER)
        sending.answer(5)
        # Of each key, what it has beyond all slots comes after what others of its priority have.
        assert sending.order == [f"{HOG}-1", f"{OTHER}-1", f"{OTHER}-2", f"{THIRD}-1", f"{THIRD}-2", f"{HOG}-2"]


def test_what_waited_in_planned_downtime_keeps_no_other_key_waiting(own: Stack) -> None:
    configure(own, slots=2)
    server = f"model.assistant/{own.servers['assistant']}"
    with clients(own) as sending, own.gateways() as gateways:
        gateways.open_downtime("assistant", 60)
        own.gateway.ask(f"set server {server} state drain")
        for _ in range(20):
            sending.pool.submit(own.send, key=HOG)
        eventually(lambda: "conn_cur=20" in own.gateway.ask("show table running"))
        own.gateway.ask(f"set server {server} state ready")
        eventually(lambda: sending.queued == 18)
        # The two that don't wait must have arrived: only then is the third one of those that waited, or the other.
        eventually(lambda: len(sending.engine.requests) == 2)
        gateways.close_downtime("assistant")
        sending.send(OTHER)
        sending.engine.let_go()
        eventually(lambda: len(sending.engine.requests) == 3)
        assert json.loads(sending.engine.requests[2].body).get("user") == f"{OTHER}-1"


def waits_for_the_downtime(stack: Stack) -> bool:
    return 'current_rule="lua.downtime"' in stack.gateway.ask("show sess all")


def test_the_only_replica_answers_what_is_queued_before_it_goes_down(own: Stack) -> None:
    """Requests that come meanwhile wait until it is back."""
    configure(own, slots=1)
    with clients(own) as sending, own.gateways() as gateways:
        sending.send(*[OTHER] * 3)
        gateways.open_downtime("assistant", 60, early=50)
        late = sending.pool.submit(own.send, key=THIRD)
        eventually(lambda: waits_for_the_downtime(own))
        assert gateways.queued("assistant") == 2
        sending.answer(2)
        assert gateways.queued("assistant") == 0
        gateways.drain("gpu1/assistant@1", who="rollout", reason="restart", manual=False)
        gateways.open_downtime("assistant", 60)
        sending.engine.let_go()
        assert {status.result() for status in sending.statuses.values()} == {200}
        assert (len(sending.order), waits_for_the_downtime(own)) == (3, True)
        gateways.undrain("gpu1/assistant@1")
        gateways.close_downtime("assistant")
        sending.engine.let_go()
        assert late.result().status == 200


def test_requests_are_not_held_for_longer_than_they_should_be(own: Stack) -> None:
    """The tool that wanted it may be gone."""
    configure(own)
    with own.gateways() as gateways:
        gateways.open_downtime("assistant", 60, early=1)
        assert own.send(key=OTHER).status == 200
        gateways.close_downtime("assistant")


def test_where_requests_are_rejected_in_downtime_those_that_would_be_held_are(own: Stack) -> None:
    configure(own)
    with reloaded(own, downtime="reject"), own.gateways() as gateways:
        gateways.open_downtime("assistant", 60, early=50)
        assert code(own.send(key=OTHER)) == "model_updating"
        gateways.close_downtime("assistant")
        assert own.send(key=OTHER).status == 200


def test_a_key_with_many_requests_is_not_passed_over_forever(own: Stack) -> None:
    """One of two others always waits for the only slot."""
    configure(own, slots=1, queue_timeout=4)
    with clients(own) as sending:

        def next_answer() -> bool:
            sending.answer()
            *_, done, _ = sending.order
            assert sending.statuses[done].result() == 200
            for name in [name for name, status in sending.statuses.items() if status.done()]:
                # Each client sends its next request when it has got an answer, whatever it says.
                del sending.statuses[name]
                sending.send(name.split("-")[0])
            return sum(name.startswith(HOG) for name in sending.order) > 1

        sending.send(HOG, OTHER, THIRD, HOG, HOG)
        assert not next_answer()
        eventually(next_answer)


def test_a_key_without_a_limit_of_its_own_has_the_default(own: Stack) -> None:
    configure(own, default=2)
    with clients(own) as sending, own.gateways() as gateways:
        sending.send(HOG, HOG)
        assert refusal(own.send(key=HOG)) == (429, "concurrency_limit_exceeded")
        gateways.put_key(known(HOG, 3, version=1), note="{}")
        sending.send(HOG)
        assert refusal(own.send(key=HOG)) == (429, "concurrency_limit_exceeded")
        gateways.put_key(known(HOG, 0, version=2), note="{}")
        sending.send(HOG, HOG)
    own.gateway.forget_keys()


def test_another_default_needs_no_push_of_keys(own: Stack) -> None:
    configure(own, default=1)
    with own.gateways() as gateways:
        gateways.put_key(known(HOG, version=1), note="{}")
    for default in (2, 3):
        own.write(own.settings.model_copy(update={"key_concurrency": default}))
        own.gateway.reload()
        own.reset()
        with clients(own) as sending:
            sending.send(*[HOG] * default)
            assert refusal(own.send(key=HOG)) == (429, "concurrency_limit_exceeded")
    own.gateway.forget_keys()


def test_a_key_that_a_command_makes_has_no_limit(own: Stack) -> None:
    configure(own, default=1)
    own.write(own.settings.model_copy(update={"keys": ()}))
    own.gateway.reload()
    own.reset()
    with own.gateways() as gateways, gateways.temporary_key(digest(KEYS[HOG])), clients(own) as sending:
        sending.send(HOG, HOG, HOG)
