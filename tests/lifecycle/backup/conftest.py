"""A backup server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rest_server import RestServer, start


@pytest.fixture
def rest_server(tmp_path: Path) -> Iterator[RestServer]:
    folder = tmp_path / "rest"
    folder.mkdir()
    server = start(folder)
    yield server
    server.stop()
