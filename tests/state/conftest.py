from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.state.store import ControlStore, FileStore
from tests.shells import LocalShell


@pytest.fixture
def file_store(tmp_path: Path) -> FileStore:
    return FileStore(LocalShell(), str(tmp_path / "var lib" / "control"))


@pytest.fixture
def store(file_store: FileStore) -> ControlStore:
    return file_store
