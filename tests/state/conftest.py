from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.state.store import FileStore
from tests.shells import LocalShell


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(LocalShell(), str(tmp_path / "var lib" / "control"))
