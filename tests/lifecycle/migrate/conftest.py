from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lifecycle.migrate.ends import Ends, running_ends


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    with running_ends(tmp_path / "records") as running:
        yield running
