"""A backup server on loopback, and a fleet that is saved on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cheap_key import empty_repository
from tests.lifecycle.backup.saved import PASSWORD, Saved, here
from tests.rest_server import RestServer, start


@pytest.fixture
def rest_server(tmp_path: Path) -> Iterator[RestServer]:
    folder = tmp_path / "rest"
    folder.mkdir()
    server = start(folder)
    yield server
    server.stop()


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saved:
    """A fleet with the empty repository `one`, and no repository `two`."""
    made = here(tmp_path, monkeypatch)
    empty_repository(made.folder("one"), PASSWORD)
    return made
