"""A host that knows no repository takes none that has snapshots, until someone says so."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest

from rackwright.roles.backup import scripts
from rackwright.roles.backup.settings import Repository
from tests.cheap_key import empty_repository
from tests.roles.test_backup import SETTINGS, Bench
from tests.waiting import wait_until

PASSWORD = "a password"
NEWEST = "2026-11-25T03:31:07.285703663+01:00"
LISTED = json.dumps([{"id": "a", "time": "2026-11-24T03:31:07Z"}, {"time": NEWEST, "hostname": '","time":"2099"'}])
REFUSED = f"the repository has 2 snapshots of an earlier gate1, newest {NEWEST}: restore gate1, or adopt it"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.tell("history", out="a\nb")
    bench.tell("snapshots", out=LISTED)
    return bench


def adopt(bench: Bench, new: str, old: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RUNTIME_DIRECTORY": str(bench.folder)}
    command = ["sh", str(bench.folder / "adopt.sh"), bench.name, new, old]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def state(bench: Bench) -> dict[str, str]:
    known: dict[str, str] = json.loads((bench.folder / "disk.json").read_text())
    return known


@pytest.mark.parametrize("verb", ["run", "check"])
def test_a_fresh_host_neither_saves_to_nor_checks_a_repository_with_snapshots(bench: Bench, verb: str) -> None:
    known = bench.play(verb)
    assert known[f"{verb}_failed"] == REFUSED
    assert (known["found"], known["history"], known["newest"]) == ("abc", "2", NEWEST)
    assert "repository" not in known
    assert {line.split()[0] for line in bench.asked} == {"cat", "list", "snapshots"}
    assert bench.play(verb)[f"{verb}_failed"] == REFUSED


@pytest.mark.parametrize("code", [1, 11, 12, 124])
def test_a_history_that_can_not_be_listed_is_not_taken_for_none(bench: Bench, code: int) -> None:
    bench.tell("history", code=code, err="Fatal: no list")
    why = bench.play()["run_failed"]
    assert why == ("locked, not damaged" if code == 11 else "its snapshots can't be listed: Fatal: no list")
    assert "repository" not in state(bench)
    assert not [line for line in bench.asked if line.startswith("backup")]


def test_snapshots_that_no_one_can_read_are_a_history_too(bench: Bench) -> None:
    bench.tell("snapshots", code=1, err="Fatal: damaged")
    assert bench.play()["run_failed"].endswith("newest unknown: restore gate1, or adopt it")


def test_a_repository_whose_id_is_not_told_is_not_used(bench: Bench) -> None:
    bench.tell("history")
    bench.tell("cat", out="{}")
    assert bench.play()["run_failed"] == "its id can't be read"


def test_what_an_earlier_run_found_is_forgotten_when_the_next_one_finds_something_else(bench: Bench) -> None:
    bench.play()
    bench.tell("cat", code=12)
    known = bench.play()
    assert known["run_failed"] == "wrong password"
    assert not {"found", "history", "newest"} & set(known)
    bench.tell("cat", out='{"id": "abc"}')
    bench.tell("history")
    assert not {"found", "history", "newest", "run_failed"} & set(bench.play())


def test_a_host_that_knows_its_repository_is_not_asked_again(bench: Bench) -> None:
    (bench.folder / "disk.json").write_text('{"format": "backup/1",\n "repository": "abc"\n}\n')
    assert bench.play()["snapshot"] == "f00"
    assert "list snapshots --no-lock -q" not in bench.asked


def test_another_repository_in_its_place_is_named(bench: Bench) -> None:
    (bench.folder / "disk.json").write_text('{"format": "backup/1",\n "repository": "old"\n}\n')
    known = bench.play()
    assert (known["run_failed"], known["found"]) == ("there is another repository in its place", "abc")
    assert known["repository"] == "old"


def test_an_adopted_repository_is_used_from_then_on(bench: Bench) -> None:
    bench.play()
    bench.play("check")
    assert adopt(bench, "abc", "").returncode == 0
    known = state(bench)
    assert known.pop("since").endswith("Z")
    assert known == {"format": "backup/1", "repository": "abc"}
    assert bench.play()["snapshot"] == "f00"
    assert adopt(bench, "abc", "").returncode == 0
    assert state(bench)["snapshot"] == "f00", "what is adopted already must stay as it is"


def test_only_the_repository_that_was_shown_is_replaced(bench: Bench) -> None:
    (bench.folder / "disk.json").write_text(
        '{"format": "backup/1",\n "repository": "third",\n "snapshot": "f00"\n}\n'
    )
    before = state(bench)
    for old in ("", "old"):
        done = adopt(bench, "abc", old)
        assert (done.returncode, state(bench)) == (1, before)
        assert "this host uses third" in done.stderr
    assert adopt(bench, "abc", "third").returncode == 0
    assert (state(bench)["repository"], "snapshot" in state(bench)) == ("abc", False)


def test_a_repository_is_not_adopted_while_a_run_is_under_way(bench: Bench) -> None:
    lock = bench.folder / "disk.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        inode = str(lock.stat().st_ino)
        environment = {**os.environ, "RUNTIME_DIRECTORY": str(bench.folder)}
        command = ["sh", str(bench.folder / "adopt.sh"), "disk", "abc", ""]
        with subprocess.Popen(command, env=environment) as process:

            def waits() -> bool:
                assert process.poll() is None, "it didn't wait"
                lines = Path("/proc/locks").read_text().splitlines()
                return any("-> FLOCK" in line and f":{inode} " in line for line in lines)

            wait_until(waits)
            assert not (bench.folder / "disk.json").exists()
            fcntl.flock(held, fcntl.LOCK_UN)
            assert process.wait(60) == 0
    assert state(bench)["repository"] == "abc"


def test_a_repository_that_is_gone_on_purpose_is_made_anew(bench: Bench) -> None:
    (bench.folder / "disk.json").write_text('{"format": "backup/1",\n "repository": "old"\n}\n')
    assert adopt(bench, "", "old").returncode == 0
    bench.tell("history")
    bench.tell("cat", code=10, time=0)
    assert bench.play()["repository"] == "abc"
    assert "init -q" in bench.asked


class Host:
    """The scripts with the real restic, as on a host whose state can be taken away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "source").mkdir()
        (folder / "source" / "file").write_text("text")
        (folder / "password").write_text(PASSWORD)
        settings = SETTINGS.model_copy(
            update={"sources": (f"{folder}/source",), "must": (f"{folder}/source/file",), "exclude": ()}
        )
        values = scripts.values(settings, Repository(name="disk", url=f"{folder}/repository"))
        for path, text in {**scripts.FIXED, "/disk.values": values}.items():
            for place in ("/etc/rackwright/backup", "/var/lib/rackwright/backup"):
                text = text.replace(place, str(folder))
            (folder / Path(path).name).write_text(text)
        places = dict.fromkeys(("RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY"), str(folder))
        # restic never saves its own cache.
        self.environment = {**os.environ, **places, "CACHE_DIRECTORY": f"{folder}/cache"}

    def run(self, *words: str) -> str:
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, check=True).stdout

    def play(self) -> dict[str, str]:
        command = ["sh", str(self.folder / "run.sh"), "disk"]
        subprocess.run(command, env=self.environment, capture_output=True, check=False)
        known: dict[str, str] = json.loads((self.folder / "disk.json").read_text())
        return known

    def restic(self, *words: str) -> str:
        own = ("--repo", f"{self.folder}/repository", "--password-file", f"{self.folder}/password")
        return self.run("restic", *own, "--no-cache", *words)

    def make_repository(self) -> None:
        empty_repository(self.folder / "repository", PASSWORD)

    def forget_everything(self) -> None:
        (self.folder / "disk.json").unlink()


def test_a_reinstalled_host_makes_no_snapshot_until_it_adopts_its_repository(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.make_repository()
    first = host.play()
    host.forget_everything()
    refused = host.play()
    (made,) = json.loads(host.restic("snapshots", "--json"))
    assert (refused["found"], refused["history"], refused["newest"]) == (first["repository"], "1", made["time"])
    host.run("sh", str(tmp_path / "adopt.sh"), "disk", first["repository"], "")
    assert host.play().get("run_failed") is None
    assert len(json.loads(host.restic("snapshots", "--json"))) == 2


def test_a_repository_with_snapshots_of_others_only_is_not_taken(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.make_repository()
    host.restic("backup", "--host", "gpu1", "--time", "2099-01-01 00:00:00", f"{tmp_path}/source")
    host.restic("backup", "--host", "gpu1", f"{tmp_path}/source")
    known = host.play()
    assert known["history"] == "2"
    assert known["newest"].startswith("2099-01-01T00:00:00")


def test_a_lock_hides_no_history(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.make_repository()
    host.play()
    host.forget_everything()
    own = ("--repo", f"{tmp_path}/repository", "--password-file", f"{tmp_path}/password", "--no-cache")
    held = ("backup", "-q", "--stdin-from-command", "--", "sh", "-c", f"touch {tmp_path}/held; exec sleep 600")
    lock = subprocess.Popen(["restic", *own, *held], start_new_session=True)
    try:
        wait_until((tmp_path / "held").exists)
        assert host.play()["history"] == "1"
    finally:
        os.killpg(lock.pid, 9)
        lock.wait()


def test_a_first_run_that_was_killed_after_it_made_the_repository_goes_on(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.make_repository()
    assert host.play().get("run_failed") is None
