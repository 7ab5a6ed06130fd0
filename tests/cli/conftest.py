from __future__ import annotations

import shutil
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "inventory" / "example.yml"


@pytest.fixture(autouse=True)
def unpatched(monkeypatch):
    """The tests' own process keeps its sockets and threads."""
    monkeypatch.setattr("gevent.monkey.patch_all", lambda **_: None)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The example as a fleet file of its own."""
    return Path(shutil.copy(EXAMPLE, tmp_path / "site.yml"))
