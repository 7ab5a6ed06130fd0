from __future__ import annotations

from pathlib import Path

import pytest

from tests.lifecycle.migrate.desks import Desk, background, hosts_in


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose commands reach the desk's hosts, which are folders."""
    background(monkeypatch)
    hosts = hosts_in(tmp_path / "hosts")
    monkeypatch.setattr("rackwright.remote.Remote", hosts)
    return Desk(tmp_path / "laptop", hosts)
