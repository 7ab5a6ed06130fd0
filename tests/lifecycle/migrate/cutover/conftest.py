from __future__ import annotations

import pytest

from tests.lifecycle.migrate.cutover.world import Made, made
from tests.lifecycle.migrate.desks import Desk


@pytest.fixture
def at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Made:
    return made(desk, monkeypatch)
