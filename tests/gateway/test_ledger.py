"""The ledger of real gateways: reloads, clients that leave, clouds that fail, and a gateway that is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.gateway.whole_ledger import Ledger, Sums, whole
from rackwright.roles.ledger.program.book import Book
from tests.gateway.certificates import CertificateAuthority
from tests.gateway.counted import ALL_TO_THE_FLEET, Counted, Pair, counted_pair, reach, wait_until_known
from tests.gateway.leaving_cloud import Leaving, in_one_hour
from tests.gateway.stack import KEYS, eventually
from tests.stand_in_cloud import Fault


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with counted_pair() as pair:
        yield pair


@pytest.fixture(autouse=True)
def _fresh(pair: Pair) -> Iterator[None]:
    yield
    pair.cloud.reset()


def ledger(*books: Book) -> Ledger:
    return whole({book.gateway: book for book in books}, books)


def total(book: Book, side: str = "cloud") -> Sums:
    """Return the gateway's own sums."""
    return ledger(book).totals.get(("good", side), Sums())


def more(one: Counted, before: Book, side: str = "cloud") -> tuple[int, ...]:
    """Return what has come since: accepted, completed, cancelled, interrupted, rejected and running."""
    now, then = total(one.look(), side), total(before, side)
    names = ("accepted", "completed", "cancelled", "interrupted", "rejected", "running")
    return tuple(getattr(now, name) - getattr(then, name) for name in names)


def test_what_is_accepted_is_running_and_then_completed_across_reloads(pair: Pair) -> None:
    first, before = pair.first, pair.first.look()
    pair.cloud.hold = True
    with ThreadPoolExecutor(8) as pool:
        streams = [pool.submit(first.ask, stream=True) for _ in range(3)]
        eventually(lambda: len(pair.cloud.received) == 3)
        assert more(first, before) == (3, 0, 0, 0, 0, 3)
        first.stack.gateway.reload()
        streams += [pool.submit(first.ask, stream=True) for _ in range(2)]
        eventually(lambda: len(pair.cloud.received) == 5)
        assert more(first, before) == (5, 0, 0, 0, 0, 5)
        first.stack.gateway.reload()
        pair.cloud.steps.release(100)
        assert [stream.result() for stream in streams] == [200] * 5
    first.stack.gateway.wait_for_replaced()
    assert more(first, before) == (5, 5, 0, 0, 0, 0)
    assert first.look().residuals == {}


def test_requests_under_reloads_leave_no_residual(pair: Pair) -> None:
    first, before = pair.first, pair.first.look()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(first.ask) for _ in range(60)]
        for _ in range(3):
            first.stack.gateway.reload()
        assert [one.result() for one in asked] == [200] * 60
    first.stack.gateway.wait_for_replaced()
    assert more(first, before) == (60, 60, 0, 0, 0, 0)
    assert first.look().residuals == {}


def test_a_client_that_leaves_has_cancelled(pair: Pair) -> None:
    first, before = pair.first, pair.first.look()
    pair.cloud.hold = True
    response = first.stack.send(stream=True)
    response.readline()
    response._connection.close()  # type: ignore[attr-defined]
    response.close()
    eventually(lambda: more(first, before) == (1, 0, 1, 0, 0, 0))
    pair.cloud.steps.release(100)


def test_an_answer_that_a_cloud_breaks_off_is_interrupted_and_one_that_it_refuses_is_rejected(pair: Pair) -> None:
    first, before = pair.first, pair.first.look()
    pair.cloud.fixed = None
    pair.cloud.keys = ["sk-cloud-" + "c" * 40]
    pair.cloud.models = {"assistant": {}}
    pair.cloud.faults += [Fault("status", status=429), Fault("status", status=500)]
    try:
        assert [first.ask(), first.ask()] == [429, 500]
        pair.cloud.faults.append(Fault("cut"))
        response = first.stack.send(stream=True)
        with pytest.raises(Exception, match="IncompleteRead"):
            response.read()
    finally:
        pair.cloud.fix()
    assert more(first, before) == (3, 0, 0, 1, 2, 0)
    assert first.look().residuals == {}


def test_a_cloud_that_says_nothing_or_shows_another_certificate_has_rejected(pair: Pair, tmp_path: Path) -> None:
    first, before, settings = pair.first, pair.first.look(), pair.first.stack.settings
    stack, trusted = first.stack, Path(first.stack.folder, "acme.ca.crt")
    stack.write(settings.model_copy(update={"response_timeout_seconds": 1}))
    stack.gateway.reload()
    reach(stack)
    pair.cloud.keys = ["sk-cloud-" + "c" * 40]
    pair.cloud.fixed = None
    pair.cloud.faults.append(Fault("silence"))
    try:
        assert first.ask() == 504
        pair.cloud.fix()
        for certificate, status in ((stack.ca.pem, 200), (CertificateAuthority(tmp_path).pem, 503)):
            trusted.write_text(certificate)
            stack.gateway.reload()
            assert first.ask() == status
    finally:
        trusted.write_text(stack.ca.pem)
        stack.write(settings)
        stack.gateway.reload()
        reach(stack)
        pair.cloud.fix()
    assert more(first, before) == (3, 1, 0, 0, 2, 0)
    assert first.look().residuals == {}


def test_each_side_has_its_own_sums_and_other_models_have_none(pair: Pair) -> None:
    first, before = pair.first, pair.first.look()
    first.shift(ALL_TO_THE_FLEET)
    try:
        assert [first.ask(), first.ask(), first.ask(model="coder")] == [200] * 3
    finally:
        first.shift("")
    assert first.ask() == 200
    after = first.look()
    assert more(first, before, "fleet") == (2, 2, 0, 0, 0, 0)
    assert more(first, before) == (1, 1, 0, 0, 0, 0)
    assert after.residuals == {}


@contextmanager
def falling_back(pair: Pair, most: int) -> Iterator[None]:
    """Within the block, both gateways give the fleet all conversations, and its engine crashes from each request."""
    engine = pair.first.stack.engines["assistant"]
    both = [Leaving(one.stack, pair.cloud) for one in (pair.first, pair.second)]
    for leaving in both:
        leaving.give(100, "b1", window=0, fallback=most)
    engine.crash = True
    try:
        yield
    finally:
        engine.crash = False
        for leaving in both:
            leaving.roll_back()


def test_what_falls_back_counts_once_in_a_row_of_its_own(pair: Pair) -> None:
    first, before = pair.first, pair.first.look()
    with falling_back(pair, 100):
        assert first.ask() == 200
        assert more(first, before, "fallback") == (1, 1, 0, 0, 0, 0)
        assert more(first, before, "fleet") == (0, 0, 0, 0, 0, 0)
        pair.cloud.hold = True
        with ThreadPoolExecutor(4) as pool:
            streams = [pool.submit(first.ask, stream=True) for _ in range(2)]
            eventually(lambda: more(first, before, "fallback") == (3, 1, 0, 0, 0, 2))
            assert more(first, before, "fleet") == (0, 0, 0, 0, 0, 0)
            # The worker that counts them is replaced meanwhile.
            first.stack.gateway.reload()
            reach(first.stack)
            assert more(first, before, "fallback") == (3, 1, 0, 0, 0, 2)
            pair.cloud.steps.release(100)
            assert [stream.result() for stream in streams] == [200, 200]
        first.stack.gateway.wait_for_replaced()
        pair.cloud.steps = type(pair.cloud.steps)(0)
        response = first.stack.send(stream=True)
        response.readline()
        response._connection.close()  # type: ignore[attr-defined]
        response.close()
        eventually(lambda: more(first, before, "fallback") == (4, 3, 1, 0, 0, 0))
        assert more(first, before, "fleet") == (0, 0, 0, 0, 0, 0)
        assert first.look().residuals == {}
        pair.cloud.steps.release(100)


def test_a_client_that_leaves_before_the_cloud_answers_was_the_fleets(pair: Pair) -> None:
    first, before = pair.first, pair.first.look()
    with falling_back(pair, 100):
        pair.cloud.fixed = None
        pair.cloud.keys = ["sk-cloud-" + "c" * 40]
        pair.cloud.models = {"assistant": {}}
        pair.cloud.faults.append(Fault("silence"))
        asked = len(pair.cloud.received)
        try:
            with ThreadPoolExecutor(1) as pool:
                connection = first.stack.connect()
                head = {"authorization": f"Bearer {KEYS['good']}", "connection": "close"}
                pool.submit(
                    connection.request, "POST", "/v1/chat/completions", b'{"model":"assistant","messages":[]}', head
                ).result()
                eventually(lambda: len(pair.cloud.received) > asked)
                connection.close()
            eventually(lambda: more(first, before, "fleet") == (1, 0, 1, 0, 0, 0))
        finally:
            pair.cloud.fix()
        assert more(first, before, "fallback") == (0, 0, 0, 0, 0, 0)
        assert first.look().residuals == {}


def test_all_gateways_have_one_limit(pair: Pair) -> None:
    both = (pair.first, pair.second)

    def work() -> None:
        pair.cloud.reset()
        for number in range(12):
            asking, other = both[number % 2], both[1 - number % 2]
            asking.ask()
            wanted = f"gpc0={number // 2 + 1} "
            table = f"show table gateways/fallbacks.{asking.name}"
            # The other gateway has heard of it.
            eventually(lambda: wanted in other.stack.gateway.ask(table))  # noqa: B023
        assert len(pair.cloud.received) == 6

    with falling_back(pair, 6):
        in_one_hour(work, *(one.stack for one in both))


def test_a_gateway_that_is_killed_leaves_a_residual_that_the_other_one_knows(pair: Pair) -> None:
    first, second = pair.first, pair.second
    assert first.ask() == 200
    before = first.look()
    pair.cloud.hold = True
    with ThreadPoolExecutor(4) as pool:
        lost = [pool.submit(first.ask, stream=True) for _ in range(3)]
        eventually(lambda: more(first, before) == (3, 0, 0, 0, 0, 3))
        known = wait_until_known(second, first)
        for pid in (first.stack.gateway.process.pid, *first.stack.gateway.workers):
            os.kill(pid, signal.SIGKILL)
        assert all(one.exception() for one in lost)
    first.stack.gateway.process.wait(60)
    pair.cloud.steps.release(100)

    with pytest.raises(OSError, match="can't be asked"):
        first.look()

    # While nobody can ask it, how many are lost isn't known.
    copies = second.look()
    silent = whole({"gate1": HostError("no answer"), "gate2": second.look()}, [copies])
    assert sum(line.sums.accepted for line in silent.unsettled) == known
    assert {line.gateway for line in silent.unsettled} == {"gate1"}
    assert silent.residuals == ()

    # Its own memory is gone with it: the three are known from the copies.
    left = whole({"gate1": before, "gate2": second.look()}, [copies])
    assert [(line.gateway, line.key, line.side) for line in left.residuals] == [("gate1", "good", "cloud")]
    (line,) = left.residuals
    assert line.residual is not None
    assert (line.residual.low, line.residual.high) == (3, 3)
    assert line.begins.timestamp() // 3600 == max(row.hour for row in before.rows())

    # It stays known when it runs again: from the copies, or because the other one has told it. HAProxy asks for that
    # only in its first seconds.
    first.stack.gateway.start()
    reach(first.stack)
    (line,) = whole({"gate1": first.look(), "gate2": second.look()}, [copies]).residuals
    assert line.residual is not None
    assert (line.gateway, line.residual.low, line.residual.high) == ("gate1", 3, 3)
