"""Old snapshots are removed where that is allowed, and it is proven; whatever is suspect or damaged stays whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rackwright.errors import ExitCode, RackwrightError
from rackwright.fleet.backup_access import password_of
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.backup.forget import Forgotten, Outcome, forget, status_of
from rackwright.lifecycle.backup.forget_places import Asked
from tests.cheap_key import empty_repository
from tests.lifecycle.backup.answering import Answering
from tests.lifecycle.backup.repositories import NOW, Kept, fill, fleet_at
from tests.rest_server import RestServer
from tests.waiting import wait_until

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with gate1's repository, which tests copy."""
    folder = tmp_path_factory.mktemp("filled")
    fill(fleet_at(folder), folder, "gate1")
    return folder / "gate1"


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return fleet_at(tmp_path)


@pytest.fixture
def gate1(tmp_path: Path, fleet: Fleet, filled: Path) -> Kept:
    shutil.copytree(filled, tmp_path / "srv" / "gate1")
    return Kept(fleet, tmp_path / "srv" / "gate1", "gate1")


def asked(kept: Kept, *names: str, keep_seconds: int | None = None) -> Asked:
    return Asked(names or (kept.host,), at=f"{kept.folder.parent}/{{host}}", keep_seconds=keep_seconds)


def run(fleet: Fleet, wanted: Asked, console: Answering | None = None, *, rehearsed: bool = False) -> Forgotten:
    (result,) = forget(fleet, wanted, console or Answering(), rehearsed=rehearsed, clock=lambda: NOW)
    return result


def says(result: Forgotten) -> str:
    return "\n".join(map(str, result.problems))


def test_what_is_too_old_is_removed_and_the_rest_stays_readable(gate1: Kept, fleet: Fleet) -> None:
    console = Answering()
    packs = [path for path in (gate1.folder / "data").rglob("*") if path.is_file()]
    result = run(fleet, asked(gate1), console)
    assert (result.outcome, result.problems) == (Outcome.FORGOTTEN, ())
    assert not all(path.exists() for path in packs), "their data is still there"
    assert status_of((result,)) is ExitCode.DONE
    assert gate1.ages == [10, 1]
    assert gate1.whole()
    assert console.asked == ["Remove 2 snapshots for good?"]
    assert console.said[:2] == [
        "A snapshot goes if it is at least 30 d older than the newest one of its repository:",
        "gate1: 2 go, 2 stay, of 2026-11-19T12:00:00Z to 2026-11-28T12:00:00Z",
    ]
    assert run(fleet, asked(gate1)).outcome is Outcome.NOTHING


def test_keep_within_replaces_the_fleet_files_and_nothing_to_remove_asks_nothing(gate1: Kept, fleet: Fleet) -> None:
    console = Answering()
    assert run(fleet, asked(gate1, keep_seconds=365 * 86400), console).outcome is Outcome.NOTHING
    assert console.asked == []
    run(fleet, asked(gate1, keep_seconds=86400))
    assert gate1.ages == [1]


def test_a_no_or_a_rehearsal_removes_nothing(gate1: Kept, fleet: Fleet) -> None:
    with pytest.raises(RackwrightError, match="not confirmed"):
        run(fleet, asked(gate1), Answering(agrees=False))
    console = Answering()
    assert run(fleet, asked(gate1), console, rehearsed=True).outcome is Outcome.PLANNED
    assert console.asked == []
    assert gate1.ages == [100, 50, 10, 1]


def test_a_snapshot_from_the_future_refuses_its_host_and_no_other(gate1: Kept, fleet: Fleet) -> None:
    forged = gate1.add(-400 * DAY)
    other = fill(fleet, gate1.folder.parent, "gpu1")
    results = forget(fleet, asked(gate1, "gate1", "gpu1"), Answering(), clock=lambda: NOW)
    assert {one.host: one.outcome for one in results} == {"gate1": Outcome.REFUSED, "gpu1": Outcome.FORGOTTEN}
    assert status_of(results) is ExitCode.NOT_PROVEN
    assert gate1.ages == [100, 50, 10, 1, -400]
    assert other.ages == [10, 1]
    (refused,) = (one for one in results if one.host == "gate1")
    assert f"{forged[:8]} of 2028-01-03T12:00:00Z is dated in the future" in says(refused)
    password = gate1.folder.parent / "password"
    password.write_text(password_of(fleet, "gate1", None)[1].reveal())
    shown = (refused.problems[0].next or "").replace("rackwright backup password gate1 --to web", f"cat {password}")
    subprocess.run(["sh", "-c", shown], check=True)
    assert run(fleet, asked(gate1)).outcome is Outcome.FORGOTTEN


def test_a_snapshot_by_another_author_refuses_its_host(gate1: Kept, fleet: Fleet) -> None:
    gate1.add(5 * DAY, "gpu1")
    result = run(fleet, asked(gate1))
    assert result.outcome is Outcome.REFUSED
    assert "is by root@gpu1, not by root@gate1" in says(result)
    assert gate1.ages == [100, 50, 10, 5, 1]


def test_what_is_added_while_the_operator_is_asked_pushes_out_nothing(gate1: Kept, fleet: Fleet) -> None:
    console = Answering(meanwhile=lambda: gate1.add(-400 * DAY))
    assert run(fleet, asked(gate1), console).outcome is Outcome.FORGOTTEN
    assert gate1.ages == [10, 1, -400]


def test_what_disappears_while_the_operator_is_asked_is_named(gate1: Kept, fleet: Fleet) -> None:
    def remove() -> None:
        gate1.restic("forget", *(one for one in gate1.ids if one not in before[:3]))

    before = [one["id"] for one in snapshots(gate1)]
    result = run(fleet, asked(gate1), Answering(meanwhile=remove))
    assert result.outcome is Outcome.FAILED
    assert "1 snapshot that should stay are gone" in says(result)


def snapshots(kept: Kept) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(kept.restic("snapshots", "--json"))
    return found


def test_deletions_that_the_server_refuses_are_a_failure(
    tmp_path: Path, filled: Path, rest_server: RestServer
) -> None:
    fleet = fleet_at(tmp_path, rest_server.url, rest_server.ca)
    shutil.copytree(filled, rest_server.folder / "gate1")
    kept = Kept(fleet, rest_server.folder / "gate1", "gate1")
    by_login = Asked(("gate1",), at=f"{rest_server.url}/{{host}}", user="{host}", login="file:{host}.login")
    for wanted in (Asked(("gate1",)), by_login):
        result = run(fleet, wanted)
        assert result.outcome is Outcome.FAILED
        assert "the server refused to delete 2 snapshots" in says(result)
        assert status_of((result,)) is ExitCode.HOSTS_FAILED
    assert kept.ages == [100, 50, 10, 1]
    assert run(fleet, asked(kept)).outcome is Outcome.FORGOTTEN, "in the server's folder"
    assert kept.ages == [10, 1]


def lose_a_pack(repository: Path) -> None:
    max((repository / "data").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size).unlink()


def flip(folder: Path) -> None:
    path = next(folder.iterdir())
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["pack", "index", "snapshot"])
def test_nothing_is_removed_from_a_damaged_repository(gate1: Kept, fleet: Fleet, damage: str) -> None:
    if damage == "pack":
        lose_a_pack(gate1.folder)
    else:
        flip(gate1.folder / {"index": "index", "snapshot": "snapshots"}[damage])
    before = sorted(path.name for path in gate1.folder.rglob("*"))
    result = run(fleet, asked(gate1))
    assert result.outcome is Outcome.FAILED
    assert "rackwright removes nothing from a damaged repository" in says(result)
    assert sorted(path.name for path in gate1.folder.rglob("*")) == before


def test_a_snapshot_that_can_not_be_read_is_told_even_if_nothing_is_too_old(gate1: Kept, fleet: Fleet) -> None:
    flip(gate1.folder / "snapshots")
    result = run(fleet, asked(gate1, keep_seconds=365 * 86400))
    assert result.outcome is Outcome.FAILED
    assert "some snapshots can't be read" in says(result)


@pytest.fixture
def locked(gate1: Kept, fleet: Fleet, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A backup of gate1 that is under way; its own process group."""
    held = tmp_path / "held"
    environment = {**os.environ, "RESTIC_PASSWORD": password_of(fleet, "gate1", None)[1].reveal()}
    words = ["restic", "--repo", str(gate1.folder), "--no-cache", "backup", "-q", "--stdin-from-command", "--"]
    process = subprocess.Popen(
        [*words, "sh", "-c", f"touch {held}; exec sleep 600"], env=environment, start_new_session=True
    )
    wait_until(held.exists)
    yield process
    end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, 9)
        process.wait()


def test_a_backup_under_way_is_waited_for_and_named(
    gate1: Kept, fleet: Fleet, locked: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rackwright.lifecycle.backup.restic_locks.PATIENCE", 1)
    result = run(fleet, asked(gate1))
    assert result.outcome is Outcome.FAILED
    assert f"locked by process {locked.pid} of {os.uname().nodename}, not damaged" in says(result)
    assert gate1.ages == [100, 50, 10, 1]


def test_the_lock_of_a_dead_process_stops_nothing(gate1: Kept, fleet: Fleet, locked: subprocess.Popen[bytes]) -> None:
    end(locked)
    assert list((gate1.folder / "locks").iterdir())
    assert run(fleet, asked(gate1)).outcome is Outcome.FORGOTTEN
    assert gate1.ages == [10, 1]


def test_two_at_once_remove_nothing_that_stays(gate1: Kept, fleet: Fleet) -> None:
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(run, fleet, asked(gate1)) for _ in range(2)]
        outcomes = {future.result().outcome for future in futures}
    assert Outcome.FORGOTTEN in outcomes
    assert outcomes <= {Outcome.FORGOTTEN, Outcome.NOTHING}
    assert gate1.ages == [10, 1]
    assert gate1.whole()


def test_a_wrong_password_and_a_missing_repository_are_told_apart(gate1: Kept, fleet: Fleet) -> None:
    shutil.copytree(gate1.folder, gate1.folder.parent / "gpu1")
    assert "wrong password" in says(run(fleet, asked(gate1, "gpu1")))
    shutil.rmtree(gate1.folder.parent / "gpu1")
    assert f"there is no repository at {gate1.folder.parent}/gpu1" in says(run(fleet, asked(gate1, "gpu1")))


def test_by_default_it_is_all_hosts_and_the_kit_if_there_is_one(gate1: Kept, fleet: Fleet) -> None:
    everything = Asked(at=f"{gate1.folder.parent}/{{host}}")

    def looked() -> dict[str, Outcome]:
        results = forget(fleet, everything, Answering(), rehearsed=True, clock=lambda: NOW)
        return {one.host: one.outcome for one in results}

    assert looked() == {"gate1": Outcome.PLANNED, "gpu1": Outcome.FAILED}
    kit = Kept(fleet, gate1.folder.parent / "kit", "kit")
    empty_repository(kit.folder, password_of(fleet, "kit", None)[1].reveal())
    assert looked() == {"gate1": Outcome.PLANNED, "gpu1": Outcome.FAILED, "kit": Outcome.NOTHING}
    shutil.rmtree(kit.folder)
    assert "there is no repository" in says(run(fleet, asked(gate1, "kit")))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_a_repository_keep_their_owner(filled: Path, fleet: Fleet) -> None:
    # Other users can't enter pytest's own folders.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        gate1 = Kept(fleet, Path(folder, "gate1"), "gate1")
        shutil.copytree(filled, gate1.folder)
        subprocess.run(["chown", "-R", "65534:65534", gate1.folder], check=True)
        assert run(fleet, asked(gate1)).outcome is Outcome.FORGOTTEN
        assert {path.stat().st_uid for path in gate1.folder.rglob("*")} == {65534}
        Path(folder).chmod(0o700)
        assert "permission denied" in says(run(fleet, asked(gate1)))


def test_no_secret_is_in_what_it_reports(gate1: Kept, fleet: Fleet) -> None:
    gate1.add(-400 * DAY)
    secret = password_of(fleet, "gate1", None)[1].reveal()
    assert secret not in f"{run(fleet, asked(gate1))}"
