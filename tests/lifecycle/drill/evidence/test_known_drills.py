"""Which scratch hosts a drill used is known from its report or its draft."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.lifecycle.drill.evidence.facts import Assets, Covered
from rackwright.lifecycle.drill.evidence.folder import draft_path
from rackwright.lifecycle.drill.evidence.known_drills import used_by
from rackwright.lifecycle.drill.evidence.seal import save_draft
from tests.lifecycle.drill.conftest import Office
from tests.lifecycle.drill.passing import FIRST, SECOND, passing

FACTS = replace(passing(drill=FIRST), assets=Assets(("gate1",), (Covered("gate1", "scratch1"),)))


def test_a_draft_tells(tmp_path: Path) -> None:
    save_draft(tmp_path / "acme.drills", FACTS)
    assert used_by(tmp_path / "acme.drills", FIRST) == {"scratch1"}
    assert used_by(tmp_path / "acme.drills", SECOND) == frozenset()


def test_a_report_tells(office: Office) -> None:
    office.seal(FACTS)
    assert not draft_path(office.folder, FIRST).exists()
    assert used_by(office.folder, FIRST) == {"scratch1"}


@pytest.mark.parametrize("drill", ["", "../20261129T030000Z-0001", "d1"])
def test_a_host_cannot_name_another_file(tmp_path: Path, drill: str) -> None:
    save_draft(tmp_path, FACTS)
    (tmp_path / "below").mkdir()
    for name in (".json", "d1.json", "d1.draft.json"):
        (tmp_path / name).write_bytes(draft_path(tmp_path, FIRST).read_bytes())
    assert used_by(tmp_path / "below", drill) == used_by(tmp_path, drill) == frozenset()


def test_a_damaged_draft_tells_nothing(tmp_path: Path) -> None:
    draft_path(tmp_path, FIRST).write_text("{")
    assert used_by(tmp_path, FIRST) == frozenset()
