"""What a store holds moves to another one, whatever keeps it."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.remote.completed import Completed
from rackwright.state import contents as archives
from rackwright.state.contents import Contents, unpacked
from rackwright.state.etcd import contents_keys
from rackwright.state.etcd.document_keys import LARGEST
from rackwright.state.etcd.etcd_store import EtcdStore
from rackwright.state.journal import Event
from rackwright.state.store import ControlStore, FileStore
from tests.etcd_cluster import Cluster, MemberShell
from tests.shells import LocalShell
from tests.state.test_store import ANNA, BEN, entry, expire

JOURNAL = tuple(entry(Event.INTENT, detail=f"{number} ü\x85'\"").model_dump_json() for number in range(250))
FULL = Contents(
    journal=JOURNAL,
    kept={"rollout-1.json": '{"a":\n"$HOME"}\n', "plan-1.json": "x" * 700_000, "plan-2.json": "y" * 700_000},
    documents={
        "golden/a/1.json": "first",
        "golden/a/2.json": "",
        "bench/a b/1.json": "{}\n",
        "canaries/a/1.json": "{}",
    },
    token=3,
)


def held(store: ControlStore) -> tuple[object, ...]:
    found = store.dump()
    return found.journal, dict(found.kept), dict(found.documents)


def files_in(folder: Path) -> FileStore:
    return FileStore(LocalShell(), str(folder / "control"))


def test_everything_comes_back_and_twice_is_once(store: ControlStore) -> None:
    lease = store.acquire(ANNA)
    for _ in range(2):
        store.load(lease, FULL)
        assert held(store) == (FULL.journal, FULL.kept, FULL.documents)
    assert [one.model_dump_json() for one in store.entries()] == list(JOURNAL)
    assert (store.kept("rollout-1.json"), store.read("golden/a/2.json")) == (FULL.kept["rollout-1.json"], "")
    store.append(lease, entry(detail="next"))
    assert store.entries()[-1].detail == "next"


def test_it_moves_from_files_to_etcd_and_back(file_store: FileStore, etcd_store: EtcdStore, tmp_path: Path) -> None:
    file_store.load(file_store.acquire(ANNA), FULL)
    lease = etcd_store.acquire(ANNA)
    etcd_store.load(lease, file_store.dump())
    back = files_in(tmp_path / "back")
    back.load(back.acquire(ANNA), etcd_store.dump())
    assert held(back) == held(file_store) == held(etcd_store)
    back.release(back.show())
    assert back.acquire(BEN).token > lease.token


def test_what_was_there_is_replaced_and_golden_answers_and_other_documents_stay(store: ControlStore) -> None:
    lease = store.acquire(ANNA)
    store.append(lease, entry(detail="older"))
    store.put("bench/a b/1.json", "older")
    store.put("bench/a b/2.json", "other")
    store.put_first("golden/a/1.json", "the first of all")
    store.load(lease, FULL)
    assert "older" not in [one.detail for one in store.entries()]
    assert store.read_all("bench/a b") == {"1.json": "{}\n", "2.json": "other"}
    assert store.read_all("golden/a") == {"1.json": "the first of all", "2.json": ""}


def test_nothing_is_nothing_to_load(store: ControlStore) -> None:
    assert store.dump().journal == ()
    lease = store.acquire(ANNA)
    store.append(lease, entry(detail="its own"))
    store.load(lease, Contents())
    assert [one.detail for one in store.entries()] == ["its own"]


def test_without_the_lease_nothing_is_loaded(store: ControlStore) -> None:
    lease = store.acquire(ANNA)
    expire(store)
    store.acquire(BEN)
    for contents in (FULL, Contents(journal=JOURNAL), Contents(documents={"golden/a/1.json": "{}"})):
        with pytest.raises(LeasedError, match="now leased by ben@desk"):
            store.load(lease, contents)
    assert held(store) == ((), {}, {})


# Files.


@pytest.mark.parametrize(("before", "here", "after"), [(7, "3", 7), (3, "7", 7), (3, None, 3)])
def test_tokens_never_go_back(tmp_path: Path, before: int, here: str | None, after: int) -> None:
    """An earlier lease of a host can't pass for a new one when it has the lease again."""
    source, target = files_in(tmp_path / "gate1"), files_in(tmp_path / "gate2")
    for store, token in ((source, str(before)), (target, here)):
        Path(store.folder).mkdir(parents=True)
        if token:
            Path(store.folder, "token").write_text(f"{int(token) - 1}\n")
    source.release(source.acquire(ANNA))
    lease = target.acquire(ANNA)
    target.load(lease, source.dump())
    assert Path(target.folder, "token").read_text() == f"{max(after, lease.token)}\n"
    target.append(lease, entry())
    target.release(lease)
    assert target.acquire(ANNA).token == max(after, lease.token) + 1


def test_the_receivers_own_journal_is_kept_once(file_store: FileStore) -> None:
    lease = file_store.acquire(ANNA)
    file_store.append(lease, entry(detail="its own"))
    for _ in range(2):
        file_store.load(lease, FULL)
    assert "its own" in Path(file_store.folder, "journal.before").read_text()
    file_store.load(lease, Contents(kept={"rollout-2.json": "{}"}))
    assert file_store.entries() == ()


def test_files_have_the_modes_that_they_are_written_with(file_store: FileStore) -> None:
    file_store.load(file_store.acquire(ANNA), FULL)
    folder = Path(file_store.folder)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert sorted(modes) == ["journal", "lease", "lock", "plan-1.json", "plan-2.json", "rollout-1.json", "token"]
    for path in (folder.parent / "golden/a/1.json", folder.parent / "bench/a b/1.json"):
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o644, 0o755)


def test_a_torn_line_of_a_journal_does_not_move(file_store: FileStore) -> None:
    file_store.append(file_store.acquire(ANNA), entry(detail="one"))
    with Path(file_store.folder, "journal").open("a") as journal:
        journal.write('{"format":"journal/1","time"')
    assert file_store.dump().journal == (entry(detail="one").model_dump_json(),)


def test_a_link_is_not_taken(file_store: FileStore, tmp_path: Path) -> None:
    file_store.append(file_store.acquire(ANNA), entry())
    (Path(file_store.folder).parent / "golden").symlink_to(tmp_path)
    with pytest.raises(HostError, match="gate1: it sent something other than files"):
        file_store.dump()


@pytest.mark.parametrize(
    "name",
    [
        "control/lease",
        "control/../x.json",
        "control/.x.json",
        "golden/../../x.json",
        "x.json",
        "golden/a/x",
        "/golden/a.json",
        "journal/a.json",
    ],
)
def test_a_file_that_leads_elsewhere_is_refused(name: str) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(RackwrightError, match="unexpected document among what a control host keeps: "):
        unpacked(written.getvalue(), "control", "gate1")


def test_what_is_no_archive_or_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostError, match="gate1: it sent no readable archive"):
        unpacked(b"welcome", "control", "gate1")
    monkeypatch.setattr(archives, "MOST_BYTES", 100_000)
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        bomb = tarfile.TarInfo("golden/a/1.json")
        bomb.size = 1_000_000
        archive.addfile(bomb, io.BytesIO(bytes(bomb.size)))
    with pytest.raises(HostError, match="gate1: it sent no readable archive"):
        unpacked(gzip.compress(written.getvalue()), "control", "gate1")


# etcd.


def test_the_survivor_without_a_quorum_says_what_it_has(cluster: Cluster) -> None:
    store = cluster.store(patience=0.1)
    store.load(store.acquire(ANNA), FULL)
    for member in cluster.members[:2]:
        member.kill()
    with pytest.raises(HostError, match="no member of etcd can answer"):
        store.dump()
    found = store.dump(quorum=False)
    assert (found.journal, found.kept, found.documents) == (FULL.journal, FULL.kept, FULL.documents)
    assert found.token > 3
    for shell in store.shells:
        shell.gone = True  # type: ignore[attr-defined]
    with pytest.raises(HostError, match="no member of etcd can answer"):
        store.dump(quorum=False)


def test_a_load_whose_answers_are_lost_ends_the_same(cluster: Cluster) -> None:
    store = cluster.store()
    lease = store.acquire(ANNA)
    turn = [0]

    def lost_every_second(run: object) -> Completed:
        done: Completed = run()  # type: ignore[operator]
        turn[0] += 1
        if turn[0] % 2:
            raise HostError("unreachable", where="here")
        return done

    for shell in store.shells:
        assert isinstance(shell, MemberShell)
        shell.fault = lost_every_second
    store.load(lease, FULL)
    assert turn[0] > 10
    assert held(cluster.store()) == (FULL.journal, FULL.kept, FULL.documents)


def test_documents_that_others_keep_replacing_are_given_up(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = cluster.store(), cluster.store()
    lease = store.acquire(ANNA)
    monkeypatch.setattr(contents_keys, "_TRIES", 2)
    writes = [0]

    def replaced_before(run: object) -> Completed:
        writes[0] += 1
        other.put("bench/a/1.json", f"{writes[0]}")
        done: Completed = run()  # type: ignore[operator]
        return done

    store.shells[0].fault = replaced_before  # type: ignore[attr-defined]
    with pytest.raises(HostError, match="documents were replaced by others 2 times"):
        store.load(lease, Contents(documents={"bench/a/1.json": "{}"}))


def test_what_is_too_large_for_etcd_is_refused_before_anything_is_written(etcd_store: EtcdStore) -> None:
    lease = etcd_store.acquire(ANNA)
    with pytest.raises(RackwrightError, match=f"is too large: {LARGEST + 1} bytes; should be at most {LARGEST}"):
        etcd_store.load(lease, Contents(kept={"a-1.json": "{}", "b-1.json": "x" * (LARGEST + 1)}))
    assert held(etcd_store) == ((), {}, {})
