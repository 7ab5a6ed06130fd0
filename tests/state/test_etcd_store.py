"""What is special about a store in etcd: damaged values, odd answers, a long journal, writers at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.remote.completed import Completed
from rackwright.state.contents import Contents
from rackwright.state.etcd import document_keys, journal_keys
from rackwright.state.etcd.document_keys import LARGEST
from rackwright.state.etcd.etcd_store import EtcdStore
from rackwright.state.etcd.held import HOLDER_KEY, LEASE_KEY
from rackwright.state.etcd.transaction import Transaction, put
from rackwright.state.formats import NewerFormat
from rackwright.state.journal import Event, open_rollout
from rackwright.state.lease_session import hold
from rackwright.state.scripts import JOURNAL_KEPT
from rackwright.state.store import FileStore
from tests.etcd_cluster import Cluster, MemberShell
from tests.state.test_store import ANNA, BEN, entry, expire

Run = Callable[[], Completed]


def write(cluster: Cluster, key: str, value: str) -> None:
    done = cluster.members[0].run("txn", "-w", "json", stdin=Transaction(then=(put(key, value),)).text)
    assert '"succeeded":true' in done.stdout


@pytest.mark.parametrize("key", [LEASE_KEY, HOLDER_KEY])
def test_a_newer_lease_is_not_read_and_a_damaged_one_is_named(cluster: Cluster, key: str) -> None:
    store = cluster.store()
    write(cluster, key, "lease/2 whatever")
    with pytest.raises(NewerFormat, match=rf"etcd0: {key} in etcd: was written by a newer rackwright \(lease/2\)"):
        store.show()
    for damaged in ("", "lease/1 aa", "lease/1 aa x\n{}", "lease/1 aa 1\n{}"):
        write(cluster, key, damaged)
        with pytest.raises(RackwrightError, match=rf"etcd0: {key} in etcd: .*is damaged"):
            store.show()


def test_a_value_that_is_no_text_is_an_error(cluster: Cluster) -> None:
    cluster.members[0].run("txn", stdin='\nput -- "/rackwright/bench/a/1.json" "\\xff"\n\n\n')
    with pytest.raises(RackwrightError, match=r"etcd0: unexpected answer of etcd: \{"):
        cluster.store().read("bench/a/1.json")


def odd(folder: Path, script: str) -> EtcdStore:
    """Return a store whose members all answer as this script does."""
    ctl = folder / "odd.ctl"
    ctl.write_text(f"#!/bin/sh\nshift\n{script}\n")
    ctl.chmod(0o700)
    return EtcdStore((MemberShell("gate1", ctl=str(ctl)), MemberShell("gate2", ctl=str(ctl))), patience=0.0)


def test_answers_that_are_none_are_errors(tmp_path: Path) -> None:
    welcome = odd(tmp_path, "[ $1 != lease ] || { echo lease 12 granted; exit 0; }\necho welcome")
    for act in (welcome.show, lambda: welcome.acquire(ANNA), lambda: welcome.read("a/b"), welcome.entries):
        with pytest.raises(RackwrightError, match="gate1: unexpected answer of etcd: "):
            act()
    empty = odd(tmp_path, """echo '{"header":{"revision":1},"ID":1}'""")
    with pytest.raises(HostError, match=r"taking the lease failed: no member of etcd can answer \(gate1: \{"):
        empty.acquire(ANNA)
    nothing = odd(
        tmp_path, """[ $1 != lease ] || { echo lease 12 granted; exit 0; }\necho '{"header":{"revision":1}}'"""
    )
    with pytest.raises(RackwrightError, match="unexpected answer of etcd"):
        nothing.acquire(ANNA)


def test_a_clock_that_says_no_time_is_an_error(tmp_path: Path) -> None:
    store = odd(tmp_path, """echo '{"header":{"revision":1}}'""")
    assert store.show() is None
    store.shells[0].fault = lambda run: replace(run(), stdout_bytes=b"never" + run().stdout_bytes)  # type: ignore[attr-defined]
    with pytest.raises(RackwrightError, match="gate1: unexpected answer of etcd: never"):
        store.show()


def test_an_election_is_waited_for_and_other_errors_are_not(tmp_path: Path) -> None:
    electing = f"""
echo x >>{tmp_path}/asked
[ "$(wc -l <{tmp_path}/asked)" -gt 5 ] || {{ echo 'Error: etcdserver: no leader' >&2; exit 1; }}
echo '{{"header":{{"revision":1}}}}'"""
    store = odd(tmp_path, electing)
    with pytest.raises(HostError, match=r"gate1: Error: etcdserver: no leader; gate2: Error: etcdserver"):
        store.entries()
    assert EtcdStore(store.shells, patience=60.0).entries() == ()
    missing = odd(tmp_path, "exit 9")
    with pytest.raises(HostError, match="gate1: exit status 9; gate2: exit status 9"):
        EtcdStore(missing.shells, patience=60.0).entries()


def test_without_a_quorum_the_member_that_knows_most_is_believed(tmp_path: Path) -> None:
    answers = []
    for revision in (5, 9, 7):
        (tmp_path / str(revision)).mkdir()
        (shell, _) = odd(tmp_path / str(revision), f"""echo '{{"header":{{"revision":{revision}}}}}'""").shells
        answers.append(shell)
    assert EtcdStore(tuple(answers)).dump(quorum=False).token == 9


def test_what_hangs_is_given_up(tmp_path: Path) -> None:
    store = EtcdStore(odd(tmp_path, "exec tail -f /dev/null").shells, patience=0.0, limit=0.1)
    with pytest.raises(HostError, match=r"gate1: etcdctl timed out after 0.1 s"):
        store.entries()


def lines(cluster: Cluster, store: EtcdStore, details: list[tuple[Event, str, str]]) -> None:
    contents = Contents(
        journal=tuple(entry(event, rollout, detail=detail).model_dump_json() for event, rollout, detail in details)
    )
    lease = store.acquire(ANNA)
    store.load(lease, contents)
    store.release(lease)


LONG = [
    (Event.OPENED, "done", ""),
    (Event.INTENT, "done", ""),
    (Event.CLOSED, "done", ""),
    (Event.OPENED, "open", ""),
    (Event.INTENT, "other", ""),
    (Event.INTENT, "open", ""),
    *[(Event.INTENT, "old", "x" * 20_000)] * (2 * JOURNAL_KEPT // 20_000 + 4),
    (Event.INTENT, "open", "last"),
]


def test_a_long_journal_reads_as_one_in_files_and_is_trimmed_when_the_lease_is_taken(
    cluster: Cluster, file_store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_keys, "MANY", 20)
    monkeypatch.setattr(journal_keys, "MOST_OPERATIONS", 20)
    store = cluster.store()
    lines(cluster, store, LONG)
    file_store.load(file_store.acquire(ANNA), store.dump())
    entries = store.entries()
    assert entries == file_store.entries()
    assert [one.rollout for one in entries[:3]] == ["open", "open", "old"]
    opened = open_rollout(entries)
    assert opened
    assert opened.rollout == "open"
    assert len(store.dump().journal) == len(LONG)
    lease = store.acquire(ANNA)
    assert store.dump().journal == tuple(one.model_dump_json() for one in entries)
    assert store.entries() == entries
    store.append(lease, entry(detail="next"))
    assert store.entries()[-1].detail == "next"


def test_a_journal_that_cannot_be_trimmed_stays_and_the_lease_is_taken(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_keys, "MANY", 20)
    store = cluster.store()
    lines(cluster, store, LONG)
    newer = entry(detail="").model_dump_json().replace("journal/1", "journal/2")
    write(cluster, f"{journal_keys.JOURNAL}ff", newer)
    assert store.acquire(ANNA).live
    with pytest.raises(NewerFormat, match=r"etcd on etcd0: journal: was written by a newer rackwright"):
        store.entries()


def test_a_short_journal_is_not_trimmed(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_keys, "MANY", 2)
    store = cluster.store()
    lines(cluster, store, LONG[:6])
    store.acquire(ANNA)
    assert len(store.dump().journal) == 6


def test_no_more_is_trimmed_without_the_lease(cluster: Cluster) -> None:
    store = cluster.store()
    lease = store.acquire(ANNA)
    store.append(lease, entry())
    (key,) = (f"{journal_keys.JOURNAL}{name}" for name in store.read_all("journal"))
    expire(store)
    with pytest.raises(LeasedError):
        journal_keys.remove(store._members, lease, [key])
    assert len(store.entries()) == 1


def replaced_before(other: EtcdStore, path: str) -> Callable[[Run], Completed]:
    """A fault in which others write a document between a read and the write that follows."""
    count = [0]

    def run_late(run: Run) -> Completed:
        count[0] += 1
        if count[0] % 2 == 0:
            other.put(path, f"of others {count[0]}")
        return run()

    return run_late


def test_who_is_overtaken_writes_again_and_last(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = cluster.store(), cluster.store()
    calls = replaced_before(other, "bench/a/1.json")
    turn = [0]

    def twice(run: Run) -> Completed:
        turn[0] += 1
        return calls(run) if turn[0] < 5 else run()

    store.shells[0].fault = twice  # type: ignore[attr-defined]
    store.put("bench/a/1.json", "mine")
    assert turn[0] == 6
    assert store.read("bench/a/1.json") == "mine"
    monkeypatch.setattr(document_keys, "_TRIES", 2)
    store.shells[0].fault = replaced_before(other, "bench/a/1.json")  # type: ignore[attr-defined]
    with pytest.raises(HostError, match="was replaced by others 2 times while it was to be stored"):
        store.put("bench/a/1.json", "mine")


def test_under_the_lease_who_is_overtaken_writes_again(cluster: Cluster) -> None:
    store, other = cluster.store(), cluster.store()
    lease = store.acquire(ANNA)
    turn = [0]

    def once(run: Run) -> Completed:
        turn[0] += 1
        if turn[0] == 2:
            other.keep(lease, "rollout-1.json", "other")
        return run()

    store.shells[0].fault = once  # type: ignore[attr-defined]
    store.keep(lease, "rollout-1.json", "mine")
    assert (turn[0], store.kept("rollout-1.json")) == (4, "mine")


def test_a_large_document_comes_back_and_a_larger_one_is_refused(etcd_store: EtcdStore) -> None:
    large = ('"\\\n' * LARGEST)[:LARGEST]
    etcd_store.put("bench/a/1.json", large)
    assert etcd_store.read("bench/a/1.json") == large
    for act in (
        lambda: etcd_store.put("bench/a/2.json", f"{large}x"),
        lambda: etcd_store.put_first("bench/a/2.json", f"{large}x"),
    ):
        with pytest.raises(RackwrightError, match=f"/a/2.json is too large: {LARGEST + 1} bytes; should be at"):
            act()
    assert etcd_store.read("bench/a/2.json") is None


def test_a_lease_that_was_bound_elsewhere_by_a_late_command_is_bound_again(cluster: Cluster) -> None:
    store = cluster.store()
    lease = store.acquire(ANNA)
    other = store.renew(lease, 600)
    renewed = store.renew(lease)
    assert renewed.etcd not in (lease.etcd, other.etcd)
    assert store.show().seconds_left <= 60
    assert store.renew(renewed).etcd == renewed.etcd
    expire(store)
    with pytest.raises(LeasedError):
        store.renew(renewed, 600)


def test_a_lease_whose_key_was_bound_elsewhere_does_not_end_with_that(cluster: Cluster) -> None:
    """A command that arrives late may have bound it to an etcd lease that nobody renews."""
    store = cluster.store()
    lease = store.acquire(ANNA)
    ctl = cluster.members[0].run
    other = ctl("lease", "grant", "60").stdout.split()[1]
    bound = Transaction(then=(f"put --ignore-value --lease={other} -- {LEASE_KEY}",))
    assert '"succeeded":true' in ctl("txn", "-w", "json", stdin=bound.text).stdout
    renewed = store.renew(lease)
    ctl("lease", "revoke", other)
    assert store.show().live
    assert store.renew(renewed).etcd == renewed.etcd


def test_a_lease_lasts_while_its_own_host_boots_and_is_short_again_afterwards(etcd_store: EtcdStore) -> None:
    with hold(etcd_store, ANNA) as lease_session:
        with lease_session.lasting(1800):
            assert etcd_store.show().seconds_left > 1700
            assert lease_session.renew()
        assert etcd_store.show().seconds_left <= 60
        lease_session.write(Event.INTENT, "r1")
    assert etcd_store.show() is None


def test_it_says_where_a_document_is(etcd_store: EtcdStore) -> None:
    assert etcd_store.place("golden/a/1.json") == "/rackwright/golden/a/1.json in etcd on etcd0, etcd1, etcd2"


def test_contents_are_never_in_a_command(cluster: Cluster) -> None:
    store = cluster.store()
    lease = store.acquire(ANNA)
    store.append(lease, entry(detail="of the entry"))
    store.keep(lease, "rollout-1.json", "of the document")
    store.put_first("golden/a/1.json", "of the answer")
    store.break_(lease)
    with pytest.raises(LeasedError):
        store.break_(replace(store.acquire(BEN), token=1))
    commands = "\n".join(store.shells[0].commands)  # type: ignore[attr-defined]
    assert "/rackwright/lease" in commands or "txn" in commands
    assert not [word for word in ("of the", ANNA.who, BEN.why) if word in commands]
