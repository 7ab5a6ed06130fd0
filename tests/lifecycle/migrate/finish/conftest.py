from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.finish.leaving import Leaving, leaving


@pytest.fixture
def at(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leaving]:
    with leaving(desk, tmp_path, monkeypatch) as found:
        yield found
