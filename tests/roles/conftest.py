from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.roles.p2p_hosts import Chain, Make, contents
from tests.waiting import wait_until


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Make]:
    chains: list[Chain] = []

    def make(*sizes: int, **more: int) -> Chain:
        made = Chain(tmp_path, contents(*sizes), **more)
        chains.append(made)
        made.start(0)
        wait_until(made.made)
        return made

    yield make
    for one in chains:
        one.end()
