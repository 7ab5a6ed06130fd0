from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from rackwright.gateway import Gateways
from tests.lifecycle.migrate.desk_ends import DeskEnds, desk_with_ends
from tests.lifecycle.migrate.desks import Desk, background, hosts_in
from tests.lifecycle.migrate.ends import running_ends


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose commands reach the desk's hosts, which are folders. Its gateways know of no fallback."""
    background(monkeypatch)
    hosts = hosts_in(tmp_path / "hosts")
    monkeypatch.setattr("rackwright.remote.Remote", hosts)
    monkeypatch.setattr(Gateways, "fallbacks", lambda _: {})
    return Desk(tmp_path / "laptop", hosts)


@pytest.fixture
def made(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskEnds]:
    """The desk, whose migration has two ends that answer."""
    monkeypatch.setattr(
        "rackwright.lifecycle.session.session.open_session", lambda *_, **__: nullcontext(desk.session)
    )
    with running_ends(tmp_path / "records") as ends:
        yield desk_with_ends(desk, ends, monkeypatch)
