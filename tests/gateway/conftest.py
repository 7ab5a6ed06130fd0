from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.stack import Stack, running_stack


@pytest.fixture(scope="session")
def running() -> Iterator[Stack]:
    with running_stack() as stack:
        yield stack


@pytest.fixture
def stack(running: Stack) -> Stack:
    running.reset()
    # Otherwise, a worker that an earlier test replaced may end during this one, and change the list of workers.
    running.gateway.wait_for_replaced()
    return running
