"""What each heavy test file declares, and that this repository's record of them isn't too old."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.heavy.need import git
from tests.heavy.need.files import HeavyFile, heavy_files, marks, read
from tests.heavy.need.record import load
from tests.import_graph import ROOT, TESTS

MOST_COMMITS = 500
"""More than any landing has had: beyond that, some landings were not recorded."""


def missing(file: HeavyFile) -> list[str]:
    """Return the covered paths that don't exist, or that exist only through a link, so that git doesn't know them."""
    root = ROOT.resolve()
    return [cover for cover in file.covers if not (root / cover).exists() or (root / cover).resolve() != root / cover]


@pytest.mark.parametrize("file", heavy_files(), ids=lambda file: file.name)
def test_each_file_declares_what_it_covers_and_all_of_it_exists(file):
    assert file.covers, f"{file.path} has no COVERS: name the modules, roles and programs that it tests"
    assert missing(file) == []


def test_a_cover_that_is_gone_or_behind_a_link_is_missing():
    file = HeavyFile("test_vip.py", ("roles/gone", "rackwright/roles/vip", "roles/vip"), machine=False)
    assert missing(file) == ["roles/gone", "rackwright/roles/vip"]


def test_declarations_are_read_without_an_import(tmp_path: Path):
    path = tmp_path / "test_made_up.py"
    path.write_text(
        'import nothing\npytestmark = [pytest.mark.heavy, pytest.mark.machine]\nCOVERS = ("roles/vip",)\n'
    )
    assert read(path) == HeavyFile("test_made_up.py", ("roles/vip",), machine=True)


def test_heavy_tests_stand_in_their_folder_and_all_tests_there_are_heavy():
    found = {
        path.name if path.parent.name == "heavy" else str(path)
        for path in TESTS.values()
        if path.name.startswith("test_") and marks(ast.parse(path.read_text())) & {"heavy", "machine"}
    }
    assert found == {file.name for file in heavy_files()}


def test_no_heavy_test_is_overdue():
    overdue = load().overdue([file.name for file in heavy_files()])
    assert overdue == [], "run `make test-heavy RECORD=1 BASE=… FILES=…` (CONTRIBUTING.md, Heavy tests by need)"


def test_landings_are_recorded():
    commits = git.commits_since(load().base)
    if commits is None:
        pytest.skip("no git, or not the whole history: landings can't be counted")
    assert commits <= MOST_COMMITS, "run `make test-heavy RECORD=1 BASE=…` before each landing"


def test_ci_runs_heavy_tests_by_need_and_nothing_else_does():
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    assert ci[-1] == "make --no-print-directory test-heavy"
    assert "    make --no-print-directory test-machines" in ci
    heavy, _workers, _by_file, recipe_of_heavy, _, machines = git.recipes((ROOT / "Makefile").read_text())
    assert heavy.startswith("HEAVY = python -m tests.heavy.need ")
    assert recipe_of_heavy.splitlines()[1].startswith("\t@$(HEAVY) -- ")
    assert machines.splitlines()[1].startswith("\t@$(HEAVY) --machines ")
