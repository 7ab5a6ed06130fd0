"""The log of a migration, in each of the stores: chained, never replaced, and whole after a kill at any moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from rackwright.errors import RackwrightError
from rackwright.state import migrations
from rackwright.state.contents import Contents
from rackwright.state.migrations import Entry, Log, add, digest_of, migrations_of, newest_result, read_log, result_in
from rackwright.state.store import ControlStore
from rackwright.values.base import Stored
from tests.state.test_store import ANNA

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
PLAN = "a" * 64


class Found(Stored):
    """A result."""

    format: str = "found/1"
    pairs: int = 0


def entry(log: Log, step: str = "capture", result: str | None = None, **said: Any) -> Entry:
    first: dict[str, Any] = {
        "migration": log.migration,
        "number": len(log.entries) + 1,
        "time": NOON,
        "who": "anna@laptop",
        "machine": "laptop",
        "step": step,
        "what": f"what {len(log.entries) + 1} did",
        "plan": PLAN,
        "result": digest_of(result) if result is not None else None,
        "previous": log.last,
    }
    return Entry(**first | said)


def noted(store: ControlStore, *steps: str, migration: str = "cloud") -> Log:
    log = read_log(store, migration)
    for step in steps:
        log = add(store, log, entry(log, step))
    return log


def text_of(number: int) -> str:
    return Found(pairs=number).model_dump_json()


class Dies(BaseException):
    """The process is gone."""


class Counting:
    """A store that dies just before or just after its n-th write."""

    def __init__(self, store: ControlStore, number: int, *, written: bool) -> None:
        self.store, self.left, self.written = store, number, written

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        return self._counted(found) if name in ("put", "put_first") else found

    def _counted(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*words: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.written:
                raise Dies
            done = write(*words)
            if self.left == 0:
                raise Dies
            return done

        return counted


def test_entries_come_back_in_their_order_and_each_names_the_one_before(store: ControlStore) -> None:
    assert read_log(store, "cloud") == Log("cloud")
    assert migrations_of(store) == ()
    made = noted(store, "init", "capture", "assess")
    assert read_log(store, "cloud") == made
    assert [(one.number, one.step) for one in made.entries] == [(1, "init"), (2, "capture"), (3, "assess")]
    assert [one.previous for one in made.entries] == [None, *made.sha256s[:2]]
    noted(store, "init", migration="heads")
    assert migrations_of(store) == ("cloud", "heads")
    assert len(read_log(store, "heads").entries) == 1
    store.put("migrations/heads/Evil!.json", "{}")
    assert migrations_of(store) == ("cloud", "heads")


def test_a_result_is_stored_beside_its_entry(store: ControlStore) -> None:
    log = noted(store, "init")
    log = add(store, log, entry(log, "score", text_of(7)), text_of(7))
    assert result_in(store, log.entries[-1], Found) == Found(pairs=7)
    later = add(store, log, entry(log, "score"))
    assert newest_result(later, "score") == log.entries[-1]
    assert newest_result(later, "cost") is None


def test_only_the_last_results_of_an_act_are_kept(store: ControlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "KEPT", 2)
    log = read_log(store, "cloud")
    for number in range(4):
        log = add(store, log, entry(log, "score", text_of(number)), text_of(number))
    log = add(store, log, entry(log, "cost", text_of(9)), text_of(9))
    assert [result_in(store, log.entries[number], Found).pairs for number in (2, 3, 4)] == [2, 3, 9]
    with pytest.raises(RackwrightError, match="the result of entry 1 is missing"):
        result_in(store, log.entries[0], Found)


def test_a_result_that_was_changed_is_refused(store: ControlStore) -> None:
    log = read_log(store, "cloud")
    log = add(store, log, entry(log, "score", text_of(1)), text_of(1))
    (path,) = (path for path in store.dump().documents if "/cloud.score/" in path)
    store.put(path, text_of(2))
    with pytest.raises(RackwrightError, match="the result of entry 1 was changed"):
        result_in(store, log.entries[0], Found)


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_note_that_is_killed_leaves_the_old_log_or_the_new_one(
    store: ControlStore, number: int, written: bool
) -> None:
    before = noted(store, "init")
    after = entry(before, "score", text_of(1))
    with pytest.raises(Dies):
        add(Counting(store, number, written=written), before, after, text_of(1))
    found = read_log(store, "cloud")
    assert found in (before, before.plus(after))
    assert len(found.entries) == (2 if (number, written) >= (2, True) else 1)
    if len(found.entries) == 2:
        assert result_in(store, found.entries[1], Found) == Found(pairs=1)
    # The next one goes on, and nothing more is missing afterwards.
    goes_on = add(store, found, entry(found, "score", text_of(2)), text_of(2))
    assert read_log(store, "cloud") == goes_on


def test_of_two_machines_that_note_at_once_the_first_has_the_number(store: ControlStore) -> None:
    before = noted(store, "init")
    theirs = add(store, before, entry(before, "replay", who="bert@desk", machine="desk"))
    mine = entry(before, "score")
    assert add(store, before, mine) == theirs
    assert read_log(store, "cloud") == theirs
    # The same note again, if its answer was lost.
    assert add(store, before, theirs.entries[-1]) == theirs


def changed(text: str) -> str:
    return text.replace("laptop", "lapdog")


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (1, "entry 1 was changed: entry 2 follows another"),
        (2, "entry 2 was changed: entry 3 follows another"),
        (3, "entry 3 was changed"),
    ],
)
def test_an_entry_that_was_changed_is_named(store: ControlStore, number: int, says: str) -> None:
    made = noted(store, "init", "capture", "assess")
    path = made.entries[number - 1].path
    store.put(path, changed(str(store.read(path))))
    with pytest.raises(RackwrightError, match=says):
        read_log(store, "cloud")


def test_entries_that_changed_places_are_named(store: ControlStore) -> None:
    made = noted(store, "init", "capture", "assess")
    one, other = (made.entries[number].path for number in (1, 2))
    texts = store.read(one), store.read(other)
    store.put(one, str(texts[1]))
    store.put(other, str(texts[0]))
    with pytest.raises(RackwrightError, match="entry 2 is in the place of another: cloud 3"):
        read_log(store, "cloud")


def test_an_entry_of_another_migration_is_named(store: ControlStore) -> None:
    made = noted(store, "init")
    other = noted(store, "init", migration="other")
    store.put(made.entries[0].path, str(store.read(other.entries[0].path)))
    with pytest.raises(RackwrightError, match="entry 1 is in the place of another: other 1"):
        read_log(store, "cloud")


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (1, "entry 1 is missing"),
        (2, "entry 2 is missing"),
        (3, "entry 3 is missing: the log had 3"),
    ],
)
def test_an_entry_that_was_removed_is_named(file_store: Any, number: int, says: str) -> None:
    made = noted(file_store, "init", "capture", "assess")
    folder = file_store.folder.rpartition("/")[0]
    file_store.shell.run(f"rm '{folder}/{made.entries[number - 1].path}'")
    with pytest.raises(RackwrightError, match=says):
        read_log(file_store, "cloud")


def test_a_head_that_is_behind_is_no_fault(store: ControlStore) -> None:
    """A restore puts an older head back, and leaves the entries that the snapshot lacks."""
    noted(store, "init")
    old = str(store.read("migrations/heads/cloud.json"))
    made = noted(store, "capture", "assess")
    store.put("migrations/heads/cloud.json", old)
    assert read_log(store, "cloud") == made
    made = noted(store, "replay")
    assert f'"number": {len(made.entries)}' in str(store.read("migrations/heads/cloud.json"))


def test_a_note_during_a_reading_is_no_fault(store: ControlStore) -> None:
    made = noted(store, "init")

    class Late(Counting):
        def read_all(self, folder: str) -> Any:
            noted(store, "capture")
            return store.read_all(folder)

    found = read_log(Late(store, 0, written=False), "cloud")
    assert found.entries[:1] == made.entries
    assert len(found.entries) == 2


def test_a_head_of_another_log_is_named(store: ControlStore) -> None:
    noted(store, "init", "capture")
    noted(store, "init", migration="other")
    other = str(store.read("migrations/heads/other.json"))
    store.put("migrations/heads/cloud.json", other)
    with pytest.raises(RackwrightError, match="entry 1 was changed"):
        read_log(store, "cloud")


def test_what_is_too_large_is_refused_before_anything_is_stored(store: ControlStore) -> None:
    log = noted(store, "init")
    large = "x" * (migrations.MOST_RESULT + 1)
    with pytest.raises(RackwrightError, match="the result of score has 1048577 bytes; at most 1048576"):
        add(store, log, entry(log, "score", large), large)
    with pytest.raises(RackwrightError, match="the entry about score is too large; at most 16384 bytes"):
        add(store, log, entry(log, "score", keys={"k" * 20_000: "1"}))
    assert read_log(store, "cloud") == log
    assert not [path for path in store.dump().documents if "score" in path]


def test_a_full_log_says_what_to_do(store: ControlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "MOST_ENTRIES", 2)
    log = noted(store, "init", "capture")
    with pytest.raises(RackwrightError, match="the log of cloud is full: it has 2 entries"):
        add(store, log, log.entries[-1])


def test_an_entry_of_a_hostile_host_is_refused(store: ControlStore) -> None:
    log = noted(store, "init")
    store.put(log.entries[0].path, str(store.read(log.entries[0].path)) + " " * migrations.MOST_ENTRY)
    with pytest.raises(RackwrightError, match="entry 1 is too large"):
        read_log(store, "cloud")
    store.put(log.entries[0].path, "{}")
    with pytest.raises(RackwrightError, match=r"000001\.json.*is damaged"):
        read_log(store, "cloud")
    store.put(log.entries[0].path, '{"format": "migration/2"}')
    with pytest.raises(RackwrightError, match="newer rackwright"):
        read_log(store, "cloud")


def test_a_log_moves_with_the_control_host(store: ControlStore) -> None:
    log = noted(store, "init")
    log = add(store, log, entry(log, "score", text_of(3)), text_of(3))
    documents = store.dump().documents
    assert len([path for path in documents if path.startswith("migrations/")]) == 4
    store.load(store.acquire(ANNA), Contents(documents=documents))
    assert read_log(store, "cloud") == log


def test_an_empty_head_is_damage(store: ControlStore) -> None:
    """As if there were none, entries at the end could be missing unseen."""
    noted(store, "init", "capture")
    store.put("migrations/heads/cloud.json", "")
    with pytest.raises(RackwrightError, match=r"cloud\.json"):
        read_log(store, "cloud")
