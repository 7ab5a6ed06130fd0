"""Faults of repositories and hosts: the next repository is used, or the host stays as it is. restic is real."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import HostError, LeasedError
from rackwright.lifecycle.backup.at import At
from rackwright.lifecycle.backup.choose import Chosen
from rackwright.lifecycle.restore import in_place, procedure, scripts
from rackwright.lifecycle.restore.plan import Files
from rackwright.lifecycle.session.control_host import refuse_moved
from rackwright.state.control import ControlRecord, parse_control
from rackwright.state.formats import utc_now
from rackwright.state.journal import open_rollout, parse_journal
from rackwright.state.store import FileStore
from tests.lifecycle.backup.saved import HOST, PASSWORD, corrupt
from tests.lifecycle.restore.conftest import AUDIT, HERE, KEY, SAVED
from tests.lifecycle.restore.host import STATE, Bench, Machine, refused
from tests.shells import FolderShell
from tests.waiting import wait_until


def test_a_restored_host_has_the_snapshots_files_its_own_and_no_open_rollout(bench: Bench) -> None:
    done = bench.restore()
    files = bench.machine.files
    assert (done.repository, done.closed) == ("one", "r1")
    for name in (f"golden/assistant/{KEY}.json", "evidence/e1/journal"):
        assert files[name] == SAVED[name]
    assert files["golden/assistant/mine.json"] == "only here"
    assert files["control/token"] == "1000007\n"
    assert files["control/lease"] == "mine"
    assert files["audit.log"].startswith(AUDIT)
    assert [path.name for path in bench.machine.restores.iterdir()] == ["before"]
    assert not list(bench.machine.run_folder.glob("one-*"))
    assert bench.undo() == ["evidence", "golden"]
    assert bench.machine.files[f"golden/assistant/{KEY}.json"] == "overwritten since"


def test_what_a_gateway_counted_comes_back(bench: Bench) -> None:
    """Days that the host lacks. Of the others, it may know more since; its usage program adds the restored state."""
    saved = {
        "usage/state.json": "saved",
        "usage/days/2026-12-03.json": "saved",
        "usage/days/2026-12-04.json": "saved",
    }
    bench.machine.put({**dict.fromkeys(HERE), **SAVED, **saved})
    bench.chosen = bench.saved.save("one")
    here = {"usage/state.json": "mine", "usage/days/2026-12-04.json": "mine", "usage/days/2026-12-05.json": "mine"}
    bench.machine.put({**here, "usage/days/2026-12-03.json": None})
    bench.restore()
    found = {name: text for name, text in bench.machine.files.items() if name.startswith("usage/")}
    assert found == {**here, "usage/days/2026-12-03.json": "saved", "usage/restored.json": "saved"}
    modes = {(bench.saved.var / name).stat().st_mode & 0o777 for name in found.keys() - here.keys()}
    assert modes == {0o600}


EVERYONE = (HOST, "gpu1", "gpu2")


def saved_from_etcd(bench: Bench) -> None:
    """Make a snapshot of one of several control hosts, with what its unit wrote from etcd."""
    record = ControlRecord(hosts=EVERYONE, number=5, since=utc_now(), who="ada").model_dump_json()
    bench.machine.put({**dict.fromkeys(HERE), **SAVED, "control-host.json": record})
    bench.saved.save("one")
    bench.machine.put({**HERE, "control-host.json": None})


def test_one_control_host_goes_on_from_a_snapshot_of_several(bench: Bench) -> None:
    """All of them were lost, and `lease move` has recorded this one alone."""
    saved_from_etcd(bench)
    present = ControlRecord(hosts=(HOST,), number=1, since=utc_now(), who="ada")
    bench.machine.put({"control-host.json": present.model_dump_json()})
    done = bench.restore()
    found = parse_control(bench.machine.files["control-host.json"], HOST)
    assert (done.closed, found) == ("r1", present)
    refuse_moved(bench.saved.fleet, found)
    store = FileStore(FolderShell(HOST, var=str(bench.saved.var)))
    assert open_rollout(store.entries()) is None
    assert store.dump().documents[f"golden/assistant/{KEY}.json"] == SAVED[f"golden/assistant/{KEY}.json"]
    assert store.dump().token > int(SAVED["control/token"])


def test_restored_files_of_several_control_hosts_change_nothing_in_their_etcd(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved_from_etcd(bench)
    monkeypatch.setattr(Bench, "session", property(in_etcd(Bench.session.fget)))
    assert bench.restore().closed is None
    assert open_rollout(parse_journal(bench.machine.files["control/journal"], HOST)) is None


def in_etcd(session: Callable[[Bench], Any]) -> Callable[[Bench], Any]:
    """Return a session of a fleet whose control hosts have their store in etcd, which isn't asked."""

    def found(bench: Bench) -> Any:
        made = session(bench)
        made.fleet, made.store = replace(made.fleet, recorded=EVERYONE), None
        return made

    return found


def packs(repository: Path) -> list[Path]:
    found = sorted(repository.glob("data/*/*"), key=lambda path: path.stat().st_size)
    for path in found:
        path.chmod(0o600)
    return found


def zeroed(repository: Path) -> None:
    for pack in packs(repository):
        pack.write_bytes(bytes(pack.stat().st_size))


def flipped(repository: Path) -> None:
    for pack in packs(repository):
        corrupt(pack)


def missing(repository: Path) -> None:
    for pack in packs(repository):
        pack.unlink()


def gone(repository: Path) -> None:
    repository.rename(repository.with_name("away"))


def locked(repository: Path) -> None:
    """Let a killed prune of another machine have left its lock."""
    (repository / "locks").mkdir(exist_ok=True)
    password = {"RESTIC_PASSWORD": PASSWORD, "PATH": os.environ["PATH"]}
    command = ["unshare", "--uts", "sh", "-c", f"hostname elsewhere; exec restic -r {repository} --no-cache check"]
    with subprocess.Popen(command, env=password, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: has_lock(repository) or process.poll() is not None)
        process.kill()
    assert has_lock(repository)


def has_lock(repository: Path) -> bool:
    """restic writes a file with a longer name and renames it."""
    return any(len(lock.name) == 64 for lock in (repository / "locks").iterdir())


def another_password(repository: Path) -> None:
    for key in (repository / "keys").iterdir():
        key.unlink()
    for key in Path(f"{repository}.other/keys").iterdir():
        key.rename(repository / "keys" / key.name)


def restic_that(does: str) -> Callable[[Bench], None]:
    """Have the host's restic restore from the repository `one` like this; $target is the folder."""
    real = shutil.which("restic")

    def sabotage(bench: Bench) -> None:
        bench.machine.program(
            "restic",
            f"""#!/bin/sh
case "$RESTIC_REPOSITORY $1" in *"/one/"*" restore") ;; *) exec {real} "$@" ;; esac
target=$(echo "$*" | sed 's/.*--target \\([^ ]*\\).*/\\1/')
{does.replace("REAL", f'{real} "$@"')}
""",
        )

    return sabotage


FAULTS: dict[str, tuple[Callable[[Bench], object], str]] = {
    "a flipped byte": (lambda bench: flipped(bench.saved.folder("one")), "not restored completely"),
    "a zeroed pack": (lambda bench: zeroed(bench.saved.folder("one")), "not restored completely"),
    "a missing pack": (lambda bench: missing(bench.saved.folder("one")), "not restored completely"),
    "no repository": (lambda bench: gone(bench.saved.folder("one")), "the repository is gone"),
    "nothing restored, exit status 0": (restic_that("exit 0"), "6 files not as the snapshot lists them"),
    "a file missing, exit status 0": (
        restic_that("REAL; rm $(find $target -name token)"),
        "control/token is missing",
    ),
    "a file cut, exit status 0": (restic_that("REAL; truncate -s 9 $(find $target -name audit.log)"), "has 9 bytes"),
    "a file too many": (restic_that("REAL; echo >$(dirname $(find $target -name token))/x"), "isn't in the snapshot"),
    "an unknown error": (restic_that("echo 'Fatal: boo' >&2; exit 1"), "not restored completely: Fatal: boo"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_repository_that_fails_during_the_restore_is_replaced_by_the_next(bench: Bench, fault: str) -> None:
    sabotage, why = FAULTS[fault]
    done = bench.restore(agreed=lambda: sabotage(bench))
    assert done.repository == "two"
    assert any(why in line for line in bench.console.said)
    assert bench.machine.files[f"golden/assistant/{KEY}.json"] == SAVED[f"golden/assistant/{KEY}.json"]
    assert [path.name for path in bench.machine.restores.iterdir()] == ["before"], "nothing of the first try stays"
    starts = [text for text in bench.machine.commands if text.endswith((scripts.START, scripts.DISCARD))]
    assert [text.endswith(scripts.DISCARD) for text in starts] == [False, True, False], "its space is free in between"
    assert not (bench.saved.var / "backup").exists(), "runs keep their own state"


def test_what_no_repository_can_restore_changes_nothing(bench: Bench) -> None:
    def both() -> None:
        flipped(bench.saved.folder("one"))
        flipped(bench.saved.folder("two"))

    said = refused(bench, agreed=both)
    assert "one: not restored completely: decrypting blob <" in said
    assert "two: " in said


def test_a_lock_of_another_machine_stops_no_recovery(bench: Bench) -> None:
    done = bench.restore(agreed=lambda: locked(bench.saved.folder("one")))
    assert done.repository == "one"


def test_a_clearly_older_snapshot_than_the_one_agreed_to_is_not_restored_instead(bench: Bench) -> None:
    newer = datetime.now() + timedelta(minutes=50)
    bench.saved.save("one", "--time", f"{newer:%Y-%m-%d %H:%M:%S}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(procedure, "LATE", 0)
        said = refused(bench, agreed=lambda: gone(bench.saved.folder("one")))
    assert "two only has" in said
    assert "next: rackwright restore gate1 --from two" in said


def test_the_same_restore_again_keeps_what_the_first_one_replaced(bench: Bench) -> None:
    golden = f"golden/assistant/{KEY}.json"
    bench.restore()
    assert bench.machine.files[golden] == SAVED[golden]
    bench.restore()
    assert "golden" in bench.undo()
    assert bench.machine.files[golden] == HERE[golden]


def test_the_same_snapshot_of_another_repository_keeps_what_the_first_restore_replaced(bench: Bench) -> None:
    golden = f"golden/assistant/{KEY}.json"
    bench.restore()
    gone(bench.saved.folder("one"))
    assert bench.restore().repository == "two"
    assert "golden" in bench.undo()
    assert bench.machine.files[golden] == HERE[golden]


@pytest.mark.parametrize(("made", "state"), [((), "new"), (("record.json",), "old")])
def test_a_host_that_works_already_is_left_to_apply(bench: Bench, made: tuple[str, ...], state: str) -> None:
    bench.machine.put(dict.fromkeys(made, "{}"))
    for name in ("restore.sh", "one.values"):
        (bench.machine.backup / name).unlink()
    if state == "new":
        bench.machine.put({"record.json": None})
        with bench.ways() as ways:
            assert bench.plan(ways).new_machine
    else:
        said = refused(bench)
        assert "isn't set up to restore from one" in said
        assert "next: rackwright apply -l gate1" in said


def broken(name: str, text: str) -> Callable[[Bench], object]:
    """Have this text run in place of a program of the host."""
    return lambda bench: bench.machine.program(name, f"#!/bin/sh\n{text}\n")


def full(bench: Bench) -> None:
    """Restore to a disk that is full, and says that it isn't."""
    bench.machine.restores.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(bench.machine.restores)]
    if subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk")
    broken("df", "echo 9999999999 /")(bench)


def running(folder: str, wanted: str = "") -> Callable[[Bench], object]:
    def sabotage(bench: Bench) -> None:
        name = folder.replace("OURS", f"one-{bench.chosen[:16]}")
        (bench.machine.restores / name).mkdir(parents=True)
        (bench.machine.restores / "running").write_text(bench.machine.here(f"{STATE}/restore/{name}\n"))
        (bench.machine.restores / name / "wanted").write_text(wanted)
        broken("systemctl", "")(bench)

    return sabotage


def losing_the_lease(bench: Bench) -> None:
    """Lose the lease while weights are hashed: after the first check."""
    checks = iter([True])

    def check() -> None:
        if not next(checks, False):
            raise LeasedError("this run's lease has ended")

    bench.check = check


REFUSED: dict[str, tuple[Callable[[Bench], object], str]] = {
    "a killed unit": (broken("systemd-run", "exit 0"), "rackwright-restore ended without a result"),
    "a unit that can't start": (broken("systemd-run", "echo no such unit >&2; exit 1"), "no such unit"),
    "too little space": (broken("df", "echo 1000 /"), "has 1000 bytes free, should have"),
    "a full disk": (full, "no space left on device"),
    "a full disk while the next state is made": (broken("cp", "echo no space >&2; exit 1"), "combining it failed"),
    "another restore": (running("two-abcd"), "another restore is running here"),
    "the same snapshot, but other parts": (running("OURS", "other"), "another restore is running here"),
    "a wrong password": (lambda bench: (bench.machine.run_folder / "password").write_text("x"), "wrong password"),
    "a lost lease": (losing_the_lease, "lease has ended"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_fault_of_the_host_is_named_and_nothing_is_replaced(bench: Bench, fault: str) -> None:
    sabotage, why = REFUSED[fault]
    try:
        said = refused(bench, agreed=lambda: sabotage(bench))
        assert why in f"{said}\n{bench.console.said}"
    finally:
        subprocess.run(["umount", "-q", str(bench.machine.restores)], check=False, capture_output=True)
    # The same command completes it when the cause is gone.
    shutil.rmtree(bench.machine.programs)
    repaired = Bench(Machine(bench.saved))
    assert repaired.restore().repository == "one"


def test_snapshots_of_the_future_refuse_a_restore_if_a_clock_is_wrong(bench: Bench) -> None:
    tomorrow = datetime.now() + timedelta(days=1)
    bench.saved.save("one", "--time", f"{tomorrow:%Y-%m-%d %H:%M:%S}")
    broken("date", f"echo {int(tomorrow.timestamp())}")(bench)
    assert "clock and this machine's are 86" in refused(bench)
    (bench.machine.programs / "date").unlink()
    assert bench.restore().snapshot == bench.chosen, "with the right time, the snapshot's date is false"


def test_a_repository_that_is_damaged_before_the_plan_is_replaced_by_the_next(bench: Bench) -> None:
    flipped(bench.saved.folder("one"))
    assert bench.restore().repository == "two"


def test_a_repository_that_can_not_list_its_files_is_replaced_by_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = procedure.snapshot_files

    def files(chosen: Chosen) -> Files:
        if chosen.reader.repository == "one":
            raise HostError("can't be read: panic: runtime error", where="one")
        return listed(chosen)

    monkeypatch.setattr(procedure, "snapshot_files", files)
    assert bench.restore().repository == "two"


def test_a_snapshot_without_an_audit_log_is_refused_before_anything_is_restored(bench: Bench) -> None:
    (bench.saved.var / "audit.log").rename(bench.saved.var / "audit.log.new")
    bench.saved.save("one")
    (bench.saved.var / "audit.log.new").rename(bench.saved.var / "audit.log")
    assert "the snapshot has no audit log" in refused(bench)


def test_no_snapshot_is_older_than_the_first(bench: Bench) -> None:
    until = datetime(2020, 1, 1, tzinfo=UTC)
    assert "has no snapshot from 2020-01-01T00:00:00Z or before" in refused(bench, At("2020-01-01", until=until))


def test_weights_alone_make_no_new_machine_go_on_with_an_old_repository(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def adopted(*_: object) -> None:
        raise AssertionError("its state was not restored")

    monkeypatch.setattr(in_place, "adopt_restored", adopted)
    before = bench.machine.files
    assert bench.restore(what=("models",)).parts == ()
    assert bench.machine.files["control/token"] == before["control/token"]


def test_the_next_repository_must_have_what_the_operator_agreed_to(bench: Bench) -> None:
    agreed, less = (
        SimpleNamespace(parts=parts, weights=weights, host="gate1", chosen=chosen)
        for parts, weights, chosen in (
            ((1,), (SimpleNamespace(model=SimpleNamespace(name="assistant")),), None),
            ((), (), SimpleNamespace(snapshot=SimpleNamespace(id="a" * 64, time=NOW), reader=READER)),
        )
    )
    procedure._refuse_less(cast(Any, agreed), cast(Any, agreed))
    with pytest.raises(HostError, match="aaaaaaaa of 2026-11-29T00:00:00Z at two has no state and no weights of"):
        procedure._refuse_less(cast(Any, agreed), cast(Any, less))


NOW = datetime(2026, 11, 29, tzinfo=UTC)
READER = SimpleNamespace(repository="two")
