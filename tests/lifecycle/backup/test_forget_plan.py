from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rackwright.lifecycle.backup.forget_plan import ForgetPlan, plan_forget
from rackwright.lifecycle.backup.snapshots import Snapshot, parse_snapshots
from tests.cheap_key import empty_repository

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def made(id: str, age: timedelta, author: str = "root@gate1", tags: tuple[str, ...] = ("rackwright",)) -> Snapshot:
    user, _, host = author.partition("@")
    return Snapshot(id=id, time=NOW - age, hostname=host, username=user or None, tags=tags)


def planned(*snapshots: Snapshot, host: str = "gate1", keep: timedelta = 30 * DAY) -> ForgetPlan:
    return plan_forget(host, snapshots, keep, NOW)


def ids(some: tuple[Snapshot, ...]) -> list[str]:
    return [one.id for one in some]


def test_what_is_older_than_the_newest_by_what_is_kept_goes() -> None:
    younger = made("c", 31 * DAY - timedelta(seconds=1))
    plan = planned(made("b", 31 * DAY), made("d", DAY), made("a", 400 * DAY), younger)
    assert (ids(plan.goes), ids(plan.stays)) == (["a", "b"], ["c", "d"])
    assert (plan.oldest, plan.newest) == ("2026-10-29T12:00:01Z", "2026-11-28T12:00:00Z")


def test_the_newest_stays_however_old_it_is_and_is_told() -> None:
    plan = planned(made("a", 900 * DAY), made("b", 800 * DAY))
    assert (ids(plan.goes), ids(plan.stays), plan.late) == (["a"], ["b"], 800 * DAY)
    assert planned(made("a", timedelta(hours=36))).late is None
    assert planned() == ForgetPlan((), (), (), None)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (made("x", -timedelta(minutes=5, seconds=1)), "is dated in the future"),
        (made("x", DAY, "root@gpu1"), "is by root@gpu1, not by root@gate1"),
        (made("x", DAY, "anna@gate1"), "is by anna@gate1, not by root@gate1"),
        (made("x", DAY, "@gate1"), "is by nobody@gate1, not by root@gate1"),
    ],
)
def test_what_its_host_would_not_have_made_is_suspect(one: Snapshot, why: str) -> None:
    assert [(suspect.snapshot.id, suspect.why) for suspect in planned(made("a", DAY), one).suspects] == [("x", why)]


def test_a_clock_that_is_a_little_ahead_is_not_suspect() -> None:
    assert planned(made("a", -timedelta(minutes=5))).suspects == ()


def test_the_last_kit_with_the_ca_key_stays_and_any_operator_makes_kits() -> None:
    with_key = ("rackwright", "with-ca-key")
    plan = planned(
        made("a", 500 * DAY, "anna@kit", with_key),
        made("b", 400 * DAY, "ben@kit", with_key),
        made("c", 300 * DAY, "ben@kit"),
        made("d", 200 * DAY, "anna@kit"),
        host="kit",
    )
    assert (ids(plan.goes), ids(plan.stays), plan.suspects, plan.late) == (["a", "c"], ["b", "d"], (), None)
    assert planned(made("a", DAY, "root@gate1"), host="kit").suspects[0].why == (
        "is by root@gate1, not by an operator@kit"
    )


def test_it_is_what_restic_itself_would_keep(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a password")
    own = ("restic", "--repo", str(tmp_path / "r"), "--password-file", str(tmp_path / "password"), "--no-cache")

    def restic(*words: str) -> str:
        environment = {**os.environ, "TZ": "UTC"}
        return subprocess.run([*own, *words], env=environment, check=True, capture_output=True, text=True).stdout

    empty_repository(tmp_path / "r", "a password")
    for time in ("2026-11-28 12:00:00", "2026-10-29 12:00:00", "2026-10-29 12:00:01", "2026-10-01 00:00:00"):
        restic("backup", "-q", "--host", "gate1", "--time", time, str(tmp_path / "password"))
    plan = planned(*parse_snapshots(restic("snapshots", "--json")))
    (group,) = json.loads(restic("forget", "--json", "--keep-within", "720h", "--group-by", "", "--dry-run"))
    assert sorted(one["id"] for one in group["remove"]) == sorted(ids(plan.goes))
    assert len(plan.goes) == 2
