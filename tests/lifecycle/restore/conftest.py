"""A host that was saved by real restic to two repositories, and has changed since."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from rackwright.lifecycle.backup import choose as choosing
from rackwright.lifecycle.restore import in_place
from rackwright.state.formats import utc_now
from rackwright.state.journal import Entry, Event
from tests.cheap_key import empty_repository
from tests.cli.conftest import unpatched as unpatched  # commands run in this process, too
from tests.lifecycle.backup.saved import PASSWORD, Saved, constants, here
from tests.lifecycle.restore.host import STATE, Bench, Machine
from tests.state.test_golden import golden

AUDIT = "".join(f"act {number}\n" for number in range(50))
KEY = golden().kind.key
OPENED = Entry(
    time=utc_now(), rollout="r1", run="r1", operator="ada", event=Event.OPENED, detail="model update"
).line()
# The file of evidence fills most of its pack, so that a byte in the middle of a pack is one that a restore needs.
SAVED = {
    "audit.log": AUDIT,
    f"golden/assistant/{KEY}.json": golden().model_dump_json(),
    "evidence/e1/journal": Random(1).randbytes(200_000).hex(),  # noqa: S311
    "control/token": "7\n",
    "control/journal": OPENED,
    "control/lease": "old",
}
HERE: dict[str, str | None] = {
    f"golden/assistant/{KEY}.json": "overwritten since",
    "golden/assistant/mine.json": "only here",
    "evidence/e1/journal": None,
    "control/journal": "",
    "control/token": "3\n",
    "control/lease": "mine",
}
"""How the host has changed since it was saved."""


@dataclass(frozen=True)
class Site:
    folder: Path
    snapshot: str


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The saved host, at a path that tests copy their hosts to: restic stores whole paths."""
    folder = tmp_path_factory.mktemp("restored")
    with pytest.MonkeyPatch.context() as patch:
        saved = here(folder / "work", patch)
        empty_repository(saved.folder("one"), PASSWORD)
        Bench(Machine(saved)).machine.put(SAVED)
        snapshot = saved.save("one")
        saved.also("two")
    # The patches end here: tests of other folders follow in the same session.
    (folder / "work").rename(folder / "kept")
    return Site(folder, snapshot)


@pytest.fixture
def bench(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    shutil.copytree(site.folder / "kept", site.folder / "work")
    saved: Saved = constants(site.folder / "work", monkeypatch)
    monkeypatch.setattr(choosing, "PATHS", (str(saved.etc), STATE))
    monkeypatch.setattr(choosing, "STATE", STATE)
    monkeypatch.setattr(in_place, "adopt_restored", lambda *_: ())
    machine = Machine(saved)
    machine.put(HERE)
    yield Bench(machine, chosen=site.snapshot)
    shutil.rmtree(site.folder / "work")
