"""The marker on a scratch host: written first, replaced only by who has seen it, and kept alive."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rackwright.lifecycle.drill.scratch_hosts import marker as marking
from rackwright.lifecycle.drill.scratch_hosts.identity import IDENTITY, parse_identity
from rackwright.lifecycle.drill.scratch_hosts.marker import NONE, Marker
from tests.lifecycle.drill.scratch_host import run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root owns the marker's folder")

MARK = Marker(fleet="acme", drill="d1", who="ada", time=datetime(2026, 11, 1, 8, tzinfo=UTC))
OTHER = MARK.model_copy(update={"drill": "d2", "who": "ben"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "journalctl").write_text("#!/bin/sh\n")
    (tmp_path / "journalctl").chmod(0o755)
    return tmp_path / "drill-folder"


def claim(folder: Path, marker: Marker, found: str = NONE) -> int:
    return run(marking._CLAIM, str(folder), found, stdin=marker.text, path=folder.parent).returncode


def sign(folder: Path, marker: Marker) -> int:
    return run(marking._SIGN, str(folder), marker.sha256).returncode


def test_the_marker_is_for_root_alone_and_says_whose_it_is(folder: Path) -> None:
    assert claim(folder, MARK) == 0
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "drill").read_text() == MARK.text
    assert '"format":"drill-host/1"' in MARK.text
    identity = parse_identity(run(IDENTITY, str(folder)).stdout)
    assert identity.marker == MARK
    assert identity.marker_sha256 == MARK.sha256 == hashlib.sha256(MARK.text.encode()).hexdigest()
    assert 0 <= identity.seen < 60


def test_of_two_drills_that_start_at_once_one_gets_the_host(folder: Path) -> None:
    assert claim(folder, MARK) == 0
    assert claim(folder, OTHER) == 75
    assert (folder / "drill").read_text() == MARK.text


def test_a_marker_is_replaced_by_who_has_seen_it(folder: Path) -> None:
    assert claim(folder, MARK) == 0
    (folder / "journals").write_text("before the first drill\n")
    assert claim(folder, OTHER, MARK.sha256) == 0
    assert (folder / "drill").read_text() == OTHER.text
    assert (folder / "journals").read_text() == "before the first drill\n"


def test_a_drill_that_was_taken_over_learns_it_at_its_next_sign(folder: Path) -> None:
    claim(folder, MARK)
    os.utime(folder / "seen", (0, 0))
    assert sign(folder, MARK) == 0
    assert (folder / "seen").stat().st_mtime > 1_000_000
    claim(folder, OTHER, MARK.sha256)
    assert sign(folder, MARK) == 75


def test_a_link_in_the_folders_place_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    assert claim(folder, MARK) == 65
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert str(folder) in parse_identity(run(IDENTITY, str(folder)).stdout).traces
