from __future__ import annotations

import shutil
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "inventory" / "example.yml"


@pytest.fixture(autouse=True)
def unpatched(monkeypatch):
    """Keep the test process's own sockets and threads unpatched."""
    monkeypatch.setattr("gevent.monkey.patch_all", lambda **_: None)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The example, copied as a separate fleet file."""
    return Path(shutil.copy(EXAMPLE, tmp_path / "site.yml"))
