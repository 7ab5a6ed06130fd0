"""A lab belongs to the checkout that made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import UsageError
from rackwright.lab import hosts
from rackwright.lab.hosts import Lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(hosts.paths, "labs", lambda: tmp_path / "labs")
    return Lab("try")


def test_its_own_checkout_can_start_it_again(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "inventory/try.yml", Path("inventory/try.yml")):
        lab.claim(path)
    assert (lab.folder / "fleet_file").read_text() == f"{tmp_path}/inventory/try.yml"


def test_another_checkout_is_refused_before_anything_is_changed(lab: Lab, tmp_path: Path) -> None:
    lab.claim(tmp_path / "first/try.yml")
    with pytest.raises(UsageError) as refused:
        lab.claim(tmp_path / "second/try.yml")
    (problem,) = refused.value.problems
    assert problem.what == f"belongs to {tmp_path}/first/try.yml"
    assert problem.next == "rackwright lab up --name NAME, or rackwright lab down --name try"
    assert Path(lab.folder / "fleet_file").read_text() == f"{tmp_path}/first/try.yml"
