from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lifecycle.migrate.desks import Desk, background, hosts_in
from tests.lifecycle.migrate.ends import Ends, running_ends


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    with running_ends(tmp_path / "records") as running:
        yield running


@pytest.fixture
def desk_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Desk]:
    """Return what makes desks that reach the same hosts."""
    background(monkeypatch)
    hosts = hosts_in(tmp_path / "hosts")

    def desk(who: str = "anna", machine: str = "laptop") -> Desk:
        return Desk(tmp_path / machine, hosts, who, machine)

    return desk


@pytest.fixture
def desk(desk_of: Callable[..., Desk]) -> Desk:
    return desk_of()
