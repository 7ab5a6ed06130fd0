from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rackwright.lifecycle.restore.items import ITEMS
from rackwright.lifecycle.restore.plan import Files, Stored, parse_present, parts_of

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


def test_each_part_has_a_name_of_its_own() -> None:
    assert len({item.name for item in ITEMS}) == len(ITEMS)
