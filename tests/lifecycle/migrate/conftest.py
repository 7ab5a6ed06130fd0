from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lifecycle.migrate.desks import Desk, background, hosts_in


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
