"""Threads that share a budget never overdraw it."""

from __future__ import annotations

import threading

from rackwright.migrate.asking.budget import Budget


def test_what_is_set_aside_counts_until_it_is_settled() -> None:
    budget = Budget(10)
    assert budget.take(6)
    budget.settle(6, 2)
    assert budget.spent == 2
    assert budget.take(8)
    budget.settle(8, 8)
    assert not budget.take(0.1)
    assert budget.take(0)


def test_it_waits_for_what_is_in_flight() -> None:
    budget = Budget(10)
    assert budget.take(6)
    taken = threading.Event()

    def other() -> None:
        assert budget.take(6)
        taken.set()

    thread = threading.Thread(target=other)
    thread.start()
    assert not taken.wait(0.1)
    budget.settle(6, 1)
    assert taken.wait(60)
    thread.join()
    assert budget.spent == 1


def test_many_threads() -> None:
    budget = Budget(1.0)
    highest, lock, flying = [0.0], threading.Lock(), [0.0]

    def work() -> None:
        while budget.take(0.1):
            with lock:
                flying[0] += 0.1
                highest[0] = max(highest[0], budget.spent + flying[0])
            with lock:
                flying[0] -= 0.1
                budget.settle(0.1, 0.03)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert highest[0] <= 1.0 + 1e-6
    assert 0.9 < budget.spent <= 1.0


def test_what_floats_leave_is_not_in_flight() -> None:
    """In a currency with large amounts, a replay would wait without end for requests that had long been answered."""
    parts = (104132.67, 95403.3, 133802.66, 159857.44)
    budget = Budget(sum(parts))
    assert all(budget.take(part) for part in parts)
    for part in parts:
        budget.settle(part, part)
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(budget.take(1)), daemon=True)
    thread.start()
    thread.join(60)
    assert found == [False]
