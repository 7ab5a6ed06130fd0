from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from rackwright.errors import ProofError, UsageError
from rackwright.lifecycle.restore.arrived import refuse_odd
from rackwright.lifecycle.restore.asked import asked_for
from rackwright.lifecycle.restore.items import ITEMS
from rackwright.lifecycle.restore.plan import (
    Files,
    Stored,
    parse_present,
    parts_of,
    present_files,
)
from rackwright.remote import Connection
from tests.fleet.fleets import make_fleet
from tests.shells import FolderShell

MADE = datetime(2026, 11, 25, 2, 31, tzinfo=UTC)
BEFORE, SINCE = MADE - timedelta(hours=1), MADE + timedelta(hours=1)


def files(modified: datetime, *names: str) -> Files:
    return {name: Stored(10, modified) for name in names}


def said(restored: Files, present: Files) -> dict[str, str]:
    return {part.item.name: str(part) for part in parts_of(restored, present, MADE)}


def test_a_plan_says_what_is_missing_what_changed_since_and_what_stays() -> None:
    restored = files(BEFORE, "golden/a/1.json", "golden/a/2.json", "golden/a/3.json", "drains/x")
    present = {**files(BEFORE, "golden/a/1.json"), **files(SINCE, "golden/a/2.json", "golden/a/4.json")}
    assert said(restored, present) == {
        "golden": "3 files: 1 missing here, 1 changed here since and replaced, 1 only here and kept",
        "drains": "1 file: 1 missing here",
    }


def test_logs_are_merged_and_the_applied_fleet_is_all_or_nothing() -> None:
    restored = files(BEFORE, "audit.log", "control/journal", "fleet/applied.json", "fleet/acme.yml")
    present = files(SINCE, "audit.log", "control/journal", "fleet/applied.json")
    merged = "merged; nothing on the host is removed"
    assert said(restored, present) == {"audit.log": merged, "control": merged, "fleet": "the newer one stays"}
    assert said(restored, {})["fleet"] == "restored"


def test_a_name_that_only_begins_alike_is_another_part() -> None:
    assert said(files(BEFORE, "fleet.lock", "golden2/a"), {}) == {}


def test_the_hosts_files_are_read_with_size_and_time() -> None:
    assert parse_present(f"12 {MADE.timestamp() + 0.5:.10f} bench/a b\n") == {
        "bench/a b": Stored(12, MADE + timedelta(seconds=0.5))
    }


@pytest.mark.parametrize("name", ["a\u2028b", "a\rb", "-a", "*", " ", "\x1b[31m"])
def test_a_file_with_an_odd_name_is_one_file(name: str) -> None:
    assert list(parse_present(f"12 0.5 bench/{name}\n")) == [f"bench/{name}"]


def test_the_files_of_a_host_are_found_whatever_their_names_and_times_are(tmp_path: Path) -> None:
    for name in ("-a", "*", "a b", "a\rb", "$(id)"):
        (tmp_path / "bench").mkdir(exist_ok=True)
        (tmp_path / "bench" / name).touch()
        os.utime(tmp_path / "bench" / name, (2**40, 2**40))
    (tmp_path / "bench/a\nb").touch()
    shell = FolderShell(var=str(tmp_path))
    run = shell.run
    shell.run = lambda command, **_: run(command)  # type: ignore[method-assign,assignment]
    found = present_files(cast(Connection, shell), ITEMS)
    assert set(found) == {"bench/$(id)", "bench/*", "bench/-a", "bench/a b", "bench/a\rb"}


@pytest.mark.parametrize("modified", ["-1e9", "1e12", "1e300"])
def test_a_time_that_no_calendar_has_is_no_error(modified: str) -> None:
    assert list(parse_present(f"1 {modified} bench/a\n")) == ["bench/a"]


def test_the_host_needs_space_for_what_is_restored_and_for_the_copies_of_the_next_state() -> None:
    restored, present = files(BEFORE, "golden/a", "packages/a/b", "audit.log"), files(SINCE, "golden/b", "golden/c")
    space = {part.item.name: part.space for part in parts_of(restored, present, MADE)}
    assert space == {"golden": 40, "packages": 10, "audit.log": 10}


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("fleet/acme.yml",), "gate1: the snapshot has no audit log"),
        (("audit.log/x",), "gate1: audit.log: is a folder, should be a file"),
        (("audit.log", "fleet"), "gate1: fleet: is a file, should be a folder"),
        (("audit.log", "control"), "gate1: control: is a file, should be a folder"),
        (("audit.log", "keys.pushed/x"), "gate1: keys.pushed: is a folder, should be a file"),
    ],
)
def test_a_snapshot_that_rackwright_can_not_have_made_is_refused_before_anybody_is_asked(
    names: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(ProofError) as error:
        refuse_odd(files(BEFORE, *names), "gate1")
    assert problem in [str(one) for one in error.value.problems]


@pytest.mark.parametrize("what", ["states", "state,", "", "state,,keys", "STATE"])
def test_only_parts_that_exist_can_be_asked_for(tmp_path: Path, what: str) -> None:
    fleet = make_fleet(tmp_path / "acme.yml")
    if parts := [part for part in what.split(",") if part in ("state", "keys")]:
        assert asked_for(fleet, at=None, repository=None, what=what, serving=()).what == tuple(parts)
        return
    with pytest.raises(UsageError, match="should be some of state, keys, models"):
        asked_for(fleet, at=None, repository=None, what=what, serving=())


def test_each_part_has_a_name_of_its_own() -> None:
    assert len({item.name for item in ITEMS}) == len(ITEMS)
