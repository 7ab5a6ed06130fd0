"""A backup server on loopback, and a fleet that is saved on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cheap_key import make_cheap
from tests.lifecycle.backup.saved import PASSWORD, Saved, here
from tests.rest_server import RestServer, start


@pytest.fixture
def rest_server(tmp_path: Path) -> Iterator[RestServer]:
    folder = tmp_path / "rest"
    folder.mkdir()
    server = start(folder)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def initialized(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty repository."""
    with pytest.MonkeyPatch.context() as patch:
        saved = here(tmp_path_factory.mktemp("fleet"), patch)
        saved.restic("one", "init")
        make_cheap(saved.folder("one"), PASSWORD)
        yield saved.folder("one")


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, initialized: Path) -> Saved:
    """A fleet with the empty repository `one`, and no repository `two`."""
    made = here(tmp_path, monkeypatch)
    shutil.copytree(initialized, made.folder("one"))
    return made
