"""Which snapshot is taken, with real restic and real repositories in folders of this machine."""

from __future__ import annotations

import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rackwright.errors import HostError, UsageError
from rackwright.fleet.backup_access import reached_from_here
from rackwright.lifecycle.backup import choose as choosing
from rackwright.lifecycle.backup.at import At, wanted_at
from rackwright.lifecycle.backup.reader import readers
from rackwright.lifecycle.backup.restic_here import restic_here
from tests.cheap_key import empty_repository
from tests.lifecycle.backup.saved import HOST, PASSWORD, Saved, corrupt, described
from tests.rest_server import RestServer, login_of
from tests.waiting import wait_until

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def test_the_newest_honest_snapshot_is_taken_and_each_other_is_named(saved: Saved) -> None:
    honest = saved.save("one")
    forged = {
        saved.save(
            "one", author="gpu1"
        ): f"may be forged: it is by {choosing.USER}@gpu1, not by {choosing.USER}@gate1",
        saved.save("one", "--time", "2099-01-01 00:00:00"): "is dated in the future",
        saved.save("one", tag="other"): "wasn't made by rackwright's timer: it lacks the tag rackwright",
        saved.save("one", only=saved.var): f"doesn't contain {saved.etc}",
    }
    chosen = saved.chosen()
    assert (chosen.snapshot.id, chosen.reader.repository, chosen.fleet) == (honest, "one", "acme")
    assert {one.snapshot: one.why for one in chosen.passed_over if one.snapshot} == forged
    assert chosen.snapshot.files == 3


def test_a_date_that_restic_did_not_write_is_noticed(saved: Saved) -> None:
    backdated = saved.save("one", "--time", "2020-01-01 00:00:00")
    with pytest.raises(UsageError, match=r"was made at 20.*: its date is false"):
        saved.chosen(At("2021-01-01", datetime(2021, 1, 1, tzinfo=UTC)))
    assert "its date is false" in saved.chosen(At(backdated[:8], id=backdated[:8])).doubts[0]


def test_the_newest_up_to_a_time_is_taken(saved: Saved) -> None:
    first = saved.save("one")
    until = saved.chosen().snapshot.time
    second = saved.save("one")
    assert saved.chosen().snapshot.id == second
    assert saved.chosen(At("then", until)).snapshot.id == first


def test_a_time_before_the_first_snapshot_names_the_oldest(saved: Saved) -> None:
    saved.save("one")
    with pytest.raises(UsageError) as raised:
        saved.chosen(wanted_at("2026-01-01", "UTC", NOW))
    problem = raised.value.problems[0]
    assert (problem.where, problem.what) == (
        "gate1",
        "has no snapshot from 2026-01-01T23:59:59Z or before that can be taken",
    )
    assert [line for line in problem.listed if line.startswith("one: 1 snapshot, from 20")]


def test_a_snapshot_of_another_fleet_is_not_taken_unless_it_is_named(saved: Saved) -> None:
    own = saved.save("one")
    saved.belongs_to("other")
    foreign = saved.save("one")
    chosen = saved.chosen()
    assert chosen.snapshot.id == own
    assert [str(one.snapshot) for one in chosen.passed_over if "is of another fleet: other, not acme" in one.why] == [
        foreign
    ]
    named = saved.chosen(At(foreign, id=foreign))
    assert (named.snapshot.id, named.fleet, named.doubts) == (
        foreign,
        "other",
        ("is of another fleet: other, not acme",),
    )


@pytest.mark.parametrize("fleet", [None, "damaged"])
def test_a_record_that_names_no_fleet_stops_nothing(saved: Saved, fleet: str | None) -> None:
    saved.belongs_to(None)
    if fleet:
        (saved.var / "record.json").write_text("{")
    saved.save("one")
    assert saved.chosen().fleet is None


def _lose(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


def _lock_out(folder: Path) -> None:
    next((folder / "keys").iterdir()).unlink()


DAMAGE = {
    "lost": (_lose, "is a folder of gate1, and not on this machine"),
    "wrong password": (_lock_out, "wrong password"),
    "config": (lambda folder: corrupt(folder / "config"), "can't be read: "),
    "index": (lambda folder: [corrupt(path) for path in (folder / "index").iterdir()], "can't be read: "),
    "snapshot": (lambda folder: [corrupt(path) for path in (folder / "snapshots").iterdir()], "can't be read: "),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_if_the_first_repository_is_damaged_the_next_one_is_used(saved: Saved, damage: str) -> None:
    snapshot = saved.save("one")
    saved.also("two")
    cause, why = DAMAGE[damage]
    cause(saved.folder("one"))
    chosen = saved.chosen()
    assert (chosen.reader.repository, chosen.snapshot.id) == ("two", snapshot)
    assert why in chosen.passed_over[0].why
    with pytest.raises((HostError, UsageError)) as raised:
        saved.chosen(only="one")
    assert raised.value.exit_code == (2 if damage == "snapshot" else 3)
    assert why in str(raised.value)


def test_the_first_repository_that_fits_is_used_and_a_newer_snapshot_elsewhere_is_named(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved.save("one")
    saved.also("two")
    newer = saved.save("two")
    assert not saved.chosen().newer
    monkeypatch.setattr(choosing, "LATE", 0)
    chosen = saved.chosen()
    assert chosen.reader.repository == "one"
    assert chosen.newer[0].startswith(f"two has a newer one: {newer[:8]} of 20")


def test_a_repository_without_a_snapshot_that_fits_is_named(saved: Saved) -> None:
    saved.save("one")
    saved.also("two")
    shutil.rmtree(saved.folder("one"))
    empty_repository(saved.folder("one"), PASSWORD)
    chosen = saved.chosen()
    assert chosen.reader.repository == "two"
    assert [str(one) for one in chosen.passed_over] == ["one: has no snapshot that fits"]


def test_a_repository_that_is_locked_exclusively_is_read(saved: Saved) -> None:
    snapshot = saved.save("one")
    with restic_here(*reached_from_here(saved.fleet, HOST, "one")) as restic:
        slow = restic.command("check", "--read-data", "--limit-download", "1")
        process = subprocess.Popen(["sh", "-c", f"exec {slow}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # restic writes a file with a longer name and renames it.
        wait_until(lambda: any(len(lock.name) == 64 for lock in (saved.folder("one") / "locks").iterdir()))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert restic("snapshots").exit_status == 11
    assert saved.chosen().snapshot.id == snapshot


def test_a_clock_that_is_behind_takes_no_snapshot_and_one_ahead_takes_the_newest(saved: Saved) -> None:
    snapshot = saved.save("one")
    with pytest.raises(UsageError, match="is dated in the future"):
        saved.chosen(later=-timedelta(days=1))
    assert saved.chosen(later=timedelta(days=1)).snapshot.id == snapshot


def test_if_no_repository_can_be_read_each_is_named(saved: Saved) -> None:
    _lose(saved.folder("one"))
    with pytest.raises(HostError, match="gate1: none of its repositories can be read") as raised:
        saved.chosen()
    assert [line.partition(": ")[0] for line in raised.value.problems[0].listed] == ["one", "two"]


def test_an_id_that_several_snapshots_begin_with_is_refused(saved: Saved) -> None:
    # Two with the same eight digits take hours to make; two with the same first digit, at most 17 snapshots.
    digits: set[str] = set()
    while (digit := saved.save("one")[0]) not in digits:
        digits.add(digit)
    with pytest.raises(UsageError, match="2 snapshots begin like this"):
        saved.chosen(At(digit, id=digit))


def test_a_server_that_does_not_answer_is_passed_over(
    saved: Saved, rest_server: RestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vault.crt").write_text(rest_server.ca)
    (tmp_path / "login-gate1").write_text(login_of(HOST))
    web = {"name": "web", "url": rest_server.url, "user": "{host}", "login": "file:login-{host}", "ca": "vault.crt"}
    saved.fleet = described(tmp_path, web)
    empty_repository(rest_server.folder / HOST, PASSWORD)
    snapshot = saved.save("web")
    assert saved.chosen().reader.repository == "web"
    rest_server.stop()
    monkeypatch.setattr(choosing, "OPEN_SECONDS", 6)
    saved.save("one")
    chosen = saved.chosen()
    assert (chosen.reader.repository, chosen.snapshot.id == snapshot) == ("one", False)
    (web_passed,) = [one.why for one in chosen.passed_over if one.repository == "web"]
    assert web_passed.startswith("doesn't answer in time: ")
    assert "l0gin" not in web_passed


def test_a_repository_that_does_not_exist_in_the_fleet_file_is_a_usage_error(saved: Saved) -> None:
    with pytest.raises(UsageError, match="three: no repository of that name; should be one of one, two"):
        saved.chosen(only="three")
    with pytest.raises(UsageError, match="can't be a host's name"), readers(saved.fleet, "../etc", None):
        pass
