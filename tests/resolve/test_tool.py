"""The tool in the lock, over a stand-in index on loopback (tests/stand_in_index.py): uv is real."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import ToolLock
from rackwright.own_wheel import own_digest, own_version
from rackwright.resolve import tool as module
from rackwright.resolve.package_index import Index
from rackwright.resolve.tool import tool_of
from tests.fleet.fleets import make_fleet
from tests.stand_in_index import StandInIndex, wheel

CLICK = version("click")
UNATTENDED = {"on": ["ctl1"], "person": "nightly", "key": "file:nightly"}


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program need little: a package that is here, and one that isn't."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setattr(module, "own_requirements", lambda: ("click>=1", "absent-here"))


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInIndex]:
    packages = {
        "click": [wheel("click", CLICK), wheel("click", "99.0")],
        "absent-here": [wheel("absent_here", "1.0"), wheel("absent_here", "2.0")],
    }
    with StandInIndex(packages) as index:
        monkeypatch.setattr(module, "index_of", lambda fleet: Index(index.url, index.route))
        yield index


def fleet(tmp_path: Path, **sections: Any) -> Fleet:
    return make_fleet(tmp_path / "site.yml", **sections)


def test_without_a_host_that_has_it_nothing_is_asked(tmp_path: Path, index: StandInIndex) -> None:
    assert tool_of(fleet(tmp_path), None) is None
    kept = ToolLock(version=own_version(), digest=own_digest(), python="3.13", files=())
    assert tool_of(fleet(tmp_path), kept) is None
    assert index.asked == []


def test_what_is_here_is_taken_in_the_version_that_is_here(tmp_path: Path, index: StandInIndex) -> None:
    entry = tool_of(fleet(tmp_path, unattended=UNATTENDED), None)
    assert entry
    assert (entry.version, entry.digest, entry.python) == (own_version(), own_digest(), "3.13")
    assert {file.path for file in entry.files} == {
        f"click-{CLICK}-py3-none-any.whl",
        "absent_here-2.0-py3-none-any.whl",
    }


def test_an_entry_of_this_rackwright_stays_unless_it_is_asked_again(tmp_path: Path, index: StandInIndex) -> None:
    of = fleet(tmp_path, unattended=UNATTENDED)
    kept = ToolLock(version=own_version(), digest=own_digest(), python="3.13", files=())
    assert tool_of(of, kept) is kept
    assert index.asked == []
    again = tool_of(of, kept, again=True)
    assert again
    assert len(again.files) == 2


@pytest.mark.parametrize("changed", [{"digest": "0" * 64}, {"python": "3.12"}, {"index": "https://other.example"}])
def test_another_question_is_resolved(tmp_path: Path, index: StandInIndex, changed: dict[str, str]) -> None:
    of = fleet(tmp_path, unattended=UNATTENDED)
    kept = ToolLock(version=own_version(), digest=own_digest(), python="3.13", files=())
    entry = tool_of(of, kept.model_copy(update=changed))
    assert entry
    assert entry.question == kept
    assert len(entry.files) == 2


def test_a_version_without_a_wheel_is_named(tmp_path: Path, index: StandInIndex) -> None:
    index.packages = {**index.packages, "click": [wheel("click", "99.0")]}
    with pytest.raises(FleetError) as raised:
        tool_of(fleet(tmp_path, unattended=UNATTENDED), None)
    assert f"{tmp_path}/site.yml unattended.on: no wheels for Python 3.13" in str(raised.value)
    assert f"click=={CLICK}" in str(raised.value)


def test_everything_that_it_needs_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    found = dict(module._versions_here())
    # `pynacl` is needed by paramiko only.
    assert {"click", "paramiko", "pynacl", "pyinfra", "uv"} <= set(found)
    assert found["click"] == CLICK
