from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.remote.completed import Completed
from rackwright.state.etcd.etcd_store import EtcdStore
from rackwright.state.etcd.members import CTL
from rackwright.state.journal import Entry, Event
from rackwright.state.lease import Owner
from rackwright.state.scripts import JOURNAL_KEPT
from rackwright.state.store import KEPT, ControlStore, FileStore
from tests.shells import LocalShell

ANNA = Owner(who="anna@laptop", machine="laptop", why="apply", run="20261125T040500Z-1a2b")
BEN = Owner(who="ben@desk", machine="desk", why="restart 'gpu1'; rm -rf $HOME `id`", run="20261125T040501Z-ffff")


def expire(store: ControlStore) -> None:
    """Let the lease end now, as if nobody had renewed it."""
    if isinstance(store, EtcdStore):
        lease = store.show()
        assert lease
        store.shells[0].run(f"{CTL} lease revoke {lease.etcd:x}").check("revoking")
    else:
        assert isinstance(store, FileStore)
        _expire_file(store)


def _expire_file(store: FileStore) -> None:
    lease = Path(store.folder, "lease")
    header, owner = lease.read_text().split("\n", 1)
    words = header.split()
    lease.write_text(" ".join([*words[:3], "1000"]) + f"\n{owner}\n")


def entry(event: Event = Event.INTENT, rollout: str = "r1", **more: str) -> Entry:
    return Entry(
        time=datetime(2026, 11, 25, tzinfo=UTC), rollout=rollout, run="r1", operator="anna", event=event, **more
    )


def grown(store: FileStore, *lines: Entry) -> Path:
    """A journal that starts with these lines, and is long enough to be trimmed at the next line."""
    journal = Path(store.folder, "journal")
    journal.parent.mkdir(parents=True, exist_ok=True)
    old = entry(rollout="old", detail="x" * 1000).line()
    text = "".join(one.line() for one in lines) + old * (2 * JOURNAL_KEPT // len(old) + 4)
    journal.write_text(text)
    return journal


def test_a_taken_lease_is_shown_with_its_owner(store):
    taken = store.acquire(ANNA)
    shown = store.show()
    assert shown.owner == ANNA
    assert shown.live
    assert (taken.previous, shown.token) == (None, taken.token)
    assert 55 <= shown.seconds_left <= 60


def test_where_nothing_was_written_there_is_nothing(store):
    assert (store.show(), store.entries(), store.kept("plan-1.json"), store.read("golden/a/b.json")) == (
        None,
        (),
        None,
        None,
    )
    assert store.read_all("bench/a") == {}


def test_no_lease_is_none_and_looking_makes_no_folder(file_store):
    assert file_store.show() is None
    assert file_store.entries() == ()
    assert not Path(file_store.folder).exists()


def test_a_live_lease_refuses_everybody_naming_owner_since_and_why(store):
    store.acquire(BEN)
    with pytest.raises(LeasedError) as caught:
        store.acquire(ANNA)
    text = str(caught.value)
    assert ": the fleet is leased by ben@desk on desk since 20" in text
    assert f"for: {BEN.why} (run 20261125T040501Z-ffff)" in text
    assert "next: rackwright lease show" in text


def test_an_expired_lease_is_taken_over_and_its_owner_named(store):
    before = store.acquire(BEN)
    expire(store)
    lease = store.acquire(ANNA)
    assert (lease.previous.owner, lease.previous.token) == (BEN, before.token)
    assert lease.token > before.token
    assert store.show().owner == ANNA
    expire(store)
    assert store.acquire(BEN).previous.token == lease.token


def test_a_released_lease_leaves_none_and_the_token_grows_all_the_same(store):
    before = store.acquire(ANNA)
    store.release(before)
    assert store.show() is None
    lease = store.acquire(ANNA)
    assert lease.token > before.token
    assert lease.previous is None


def test_renewing_moves_the_expiry_and_keeps_owner_and_beginning(store):
    lease = store.acquire(ANNA)
    renewed = replace(store, seconds=600).renew(lease)
    assert renewed.expires > lease.expires
    assert (renewed.owner, renewed.token, renewed.since) == (ANNA, lease.token, lease.since)


def test_an_expired_lease_can_neither_be_renewed_nor_write(store):
    lease = store.acquire(ANNA)
    expire(store)
    with pytest.raises(LeasedError, match="this run's lease has ended"):
        store.renew(lease)
    with pytest.raises(LeasedError):
        store.append(lease, entry())
    assert store.entries() == ()


def test_a_stale_token_writes_nothing_and_names_the_new_holder(store):
    stale = store.acquire(ANNA)
    expire(store)
    store.acquire(BEN)
    with pytest.raises(LeasedError, match="now leased by ben@desk"):
        store.append(stale, entry())
    assert store.entries() == ()


def test_releasing_a_lease_that_was_taken_over_leaves_the_new_one(store):
    stale = store.acquire(ANNA)
    expire(store)
    store.acquire(BEN)
    store.release(stale)
    assert store.show().owner == BEN


def test_a_broken_lease_is_gone_and_its_holder_writes_no_more(store):
    lease = store.acquire(ANNA)
    store.break_(store.show())
    assert store.show() is None
    with pytest.raises(LeasedError):
        store.append(lease, entry())


def test_breaking_a_lease_that_changed_hands_breaks_nothing(store):
    stale = store.acquire(ANNA)
    expire(store)
    store.acquire(BEN)
    with pytest.raises(LeasedError, match="ben@desk"):
        store.break_(stale)
    assert store.show().owner == BEN


def test_the_token_grows_also_when_its_file_is_lost(file_store):
    for _ in range(3):
        file_store.release(file_store.acquire(ANNA))
    lost = file_store.acquire(ANNA)
    Path(file_store.folder, "token").unlink()
    expire(file_store)
    assert file_store.acquire(BEN).token > lost.token
    with pytest.raises(LeasedError):
        file_store.append(lost, entry())


def test_a_lease_ends_in_the_second_that_it_lasts_until(file_store):
    over = replace(file_store, seconds=0).acquire(ANNA)
    assert not over.live
    assert file_store.acquire(BEN).previous.owner == ANNA


def test_of_an_expired_lease_no_time_is_left(store):
    store.acquire(ANNA)
    expire(store)
    shown = store.show()
    assert (shown.live, shown.seconds_left) == (False, 0)


class Prefixed(LocalShell):
    """Puts these words before each script."""

    words = ""

    def run(self, command: str, **more: Any) -> Completed:
        return super().run(f"{self.words}\n{command}", **more)


def test_a_command_that_does_not_get_the_lock_changes_nothing(file_store):
    lease = file_store.acquire(ANNA)
    shell = Prefixed()
    shell.words = "flock() { return 1; }"
    with pytest.raises(HostError, match="the lease file stayed locked for 20 s"):
        replace(file_store, shell=shell).release(lease)
    assert file_store.show().owner == ANNA


def test_an_answer_that_is_none_is_an_error_and_no_lease(file_store):
    shell = Prefixed()
    shell.words = "echo welcome"
    with pytest.raises(RackwrightError, match="gate1: unexpected answer about the lease: welcome"):
        replace(file_store, shell=shell).acquire(ANNA)


def test_where_nothing_was_written_nothing_is_read_wherever_the_shell_stands(file_store, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("lease", "journal", "plan-1.json"):
        Path(name).write_text("lease/1 1 1 1\nof somebody else\n")
    Path("journal").write_text(entry().line())
    assert (file_store.show(), file_store.entries(), file_store.kept("plan-1.json")) == (None, (), None)


def test_what_is_kept_comes_back_and_of_a_kind_the_last_few_stay(store):
    lease = store.acquire(ANNA)
    names = [f"plan-{number:02}.json" for number in range(KEPT + 2)]
    store.keep(lease, "rollout-00.json", "another kind")
    for name in names:
        store.keep(lease, name, f"of {name}")
    assert [store.kept(name) for name in names] == [None, None, *(f"of {name}" for name in names[2:])]
    assert store.kept("rollout-00.json") == "another kind"
    expire(store)
    with pytest.raises(LeasedError):
        store.keep(lease, names[-1], "too late")
    assert store.kept(names[-1]) == f"of {names[-1]}"


def test_what_a_controller_keeps_whose_clock_is_behind_stays(store):
    lease = store.acquire(ANNA)
    for day in range(10, 10 + KEPT):
        store.keep(lease, f"rollout-202611{day}T000000Z-aaaa.json", "of a clock that is right")
    late = "rollout-20260101T000000Z-bbbb.json"
    store.keep(lease, late, "the open one")
    assert store.kept(late) == "the open one"
    assert store.kept("rollout-20261110T000000Z-aaaa.json") is None
    assert store.kept("rollout-20261111T000000Z-aaaa.json") is not None


class Watched(LocalShell):
    """Records what a script syncs, renames and removes, in order."""

    def run(self, command: str, **more: Any) -> Completed:
        noted = "".join(
            f'{name}() {{ for word; do :; done; echo "{name} $word" >&8; command {name} "$@"; }}\n'
            for name in ("sync", "mv", "rm")
        )
        with tempfile.NamedTemporaryFile("r") as notes:
            done = super().run(f"exec 8>{notes.name}\n{noted}{command}", **more)
            self.commands[-1:] = notes.read().splitlines()
        return done


def test_each_file_is_on_disk_before_it_takes_the_old_ones_place_and_its_name_afterwards(tmp_path):
    shell = Watched()
    store = FileStore(shell, str(tmp_path))
    lease = store.acquire(ANNA)
    replaced = ["sync lease.new", "mv lease", "sync ."]
    assert shell.commands == ["sync token.new", "mv token", "sync .", *replaced]
    shell.commands.clear()
    store.renew(lease)
    assert shell.commands == replaced
    shell.commands.clear()
    store.keep(lease, "plan-1.json", "{}")
    assert shell.commands == ["sync plan-1.json.new", "mv plan-1.json", "sync .", "sync ."]
    shell.commands.clear()
    store.append(lease, entry())
    assert shell.commands == ["sync ."]
    shell.commands.clear()
    grown(store)
    store.append(lease, entry())
    assert shell.commands == ["sync .", "sync journal.new", "mv journal", "sync ."]
    shell.commands.clear()
    store.release(lease)
    assert shell.commands == ["rm lease", "sync ."]


def test_sixteen_contenders_have_one_winner(store):
    def contend(number: int) -> str:
        owner = ANNA.model_copy(update={"who": f"contender {number}"})
        try:
            return store.acquire(owner).owner.who
        except LeasedError as error:
            return f"refused: {error}"

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(contend, range(16)))
    winners = [answer for answer in answers if not answer.startswith("refused")]
    assert len(winners) == 1
    assert all(f"leased by {winners[0]}" in answer for answer in answers if answer.startswith("refused"))


def test_the_folder_is_for_root_only(file_store):
    file_store.append(file_store.acquire(ANNA), entry())
    for path in [Path(file_store.folder), *Path(file_store.folder).iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_newer_lease_is_neither_read_nor_overwritten(file_store):
    file_store.acquire(ANNA)
    lease = Path(file_store.folder, "lease")
    lease.write_text("lease/2 whatever\n")
    for act in (file_store.show, lambda: file_store.acquire(BEN)):
        with pytest.raises(HostError, match=r"newer rackwright \(lease/2\)"):
            act()
    assert lease.read_text() == "lease/2 whatever\n"


def test_a_damaged_lease_says_what_to_do(file_store):
    file_store.acquire(ANNA)
    for damaged in ("lease/1 3 1 1\n", "lease/1 3 1 1 1\n{}\n", "lease/1 3 x 1\n{}\n"):
        Path(file_store.folder, "lease").write_text(damaged)
        with pytest.raises(RackwrightError, match="lease file is damaged"):
            file_store.show()


def test_a_killed_holder_leaves_a_lease_that_expires(file_store):
    holder = f"""
import os, signal
from tests.state.test_store import ANNA, FileStore, LocalShell
FileStore(LocalShell(), {file_store.folder!r}, seconds=-1).acquire(ANNA)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", holder], check=False).returncode == -9
    assert file_store.acquire(BEN).previous.owner == ANNA


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_a_command_that_holds_what_unicode_calls_an_end_damages_no_lease(store: FileStore, end: str) -> None:
    anna = ANNA.model_copy(update={"why": f"drain gpu1: see ticket{end}4711"})
    lease = store.acquire(anna)
    assert store.renew(lease).owner == anna
    expire(store)
    assert store.acquire(BEN).previous.owner == anna
