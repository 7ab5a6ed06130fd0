"""The journal in the store: torn lines, its length, and what it shows about an open rollout."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.state.journal import Event, open_rollout, parse_journal
from rackwright.state.scripts import JOURNAL_KEPT, READ
from rackwright.state.shell import command
from rackwright.state.store import FileStore
from tests.shells import LocalShell
from tests.state.test_store import ANNA, entry, grown


def test_entries_come_back_as_they_were_written(store):
    lease = store.acquire(ANNA)
    written = (entry(detail="a \"quote\" $(id) \\n 'x' ü"), entry(Event.OUTCOME, subject="gpu1/assistant@1"))
    for one in written:
        store.append(lease, one)
    assert store.entries() == written


def test_a_torn_line_is_left_out_and_the_next_one_stands_alone(file_store):
    lease = file_store.acquire(ANNA)
    file_store.append(lease, entry())
    with Path(file_store.folder, "journal").open("a") as journal:
        journal.write('{"format":"journal/1","time"')
    assert len(file_store.entries()) == 1
    file_store.append(lease, entry(Event.OUTCOME))
    assert [one.event for one in file_store.entries()] == [Event.INTENT, Event.OUTCOME]


def test_a_journal_does_not_grow_for_ever_and_its_last_lines_stay(file_store: FileStore) -> None:
    lease = file_store.acquire(ANNA)
    journal = grown(file_store)
    for number in range(20):
        file_store.append(lease, entry(detail=f"{number}"))
    assert journal.stat().st_size <= JOURNAL_KEPT + 30_000
    assert [one.detail for one in file_store.entries()[-21:]] == ["x" * 1000, *map(str, range(20))]
    assert sorted(path.name for path in journal.parent.iterdir()) == ["journal", "lease", "lock", "token"]


OPENED = entry(Event.OPENED, "open", detail='one, "event":"closed"}')
CLOSED = entry(Event.CLOSED, "open", detail="it")
TORN = entry(Event.CLOSED, "open", detail='{"a":"b"} and more').line().partition(" and more")[0]


def test_all_lines_of_the_open_rollout_stay(file_store: FileStore) -> None:
    lease = file_store.acquire(ANNA)
    opened = (OPENED, entry(rollout="open"), entry(rollout="other"), entry(rollout="open"))
    before = (entry(Event.OPENED, "done"), entry(rollout="done"), entry(Event.CLOSED, "done"))
    grown(file_store, *before, *opened)
    file_store.append(lease, entry(rollout="open", detail="last"))
    entries = file_store.entries()
    assert [one for one in entries if one.rollout == "open"] == [opened[0], opened[1], opened[3], entries[-1]]
    assert open_rollout(entries) == OPENED
    assert not [one for one in entries if one.rollout in ("done", "other")]
    file_store.append(lease, CLOSED)
    assert open_rollout(file_store.entries()) is None


def test_a_torn_line_closes_no_rollout(file_store: FileStore) -> None:
    """Its writer never learned that it was written: the rollout is open, and its lines stay."""
    lease = file_store.acquire(ANNA)
    journal = grown(file_store, OPENED)
    journal.write_text(OPENED.line() + TORN + "\n" + journal.read_text().removeprefix(OPENED.line()))
    file_store.append(lease, entry())
    assert open_rollout(file_store.entries()) == OPENED


def test_a_journal_that_is_longer_than_a_command_may_print_is_read(file_store: FileStore) -> None:
    """A journal that grew before journals were trimmed."""
    grown(file_store, OPENED)
    read = LocalShell().run(command(READ, file_store.folder))
    assert len(read.stdout_bytes) <= JOURNAL_KEPT + 3000
    assert open_rollout(file_store.entries()) == OPENED


@pytest.mark.parametrize("cut", range(0, len(CLOSED.line()) - 1, 7))
def test_a_journal_says_the_same_before_and_after_it_is_trimmed(file_store: FileStore, cut: int) -> None:
    """The journal may be torn anywhere."""
    lease = file_store.acquire(ANNA)
    journal = grown(file_store, OPENED)
    torn = CLOSED.line()[: len(CLOSED.line()) - 1 - cut]
    journal.write_text(OPENED.line() + torn + "\n" + journal.read_text().removeprefix(OPENED.line()))
    expected = open_rollout(parse_journal(journal.read_text(), "gate1"))
    file_store.append(lease, entry())
    assert open_rollout(parse_journal(journal.read_text(), "gate1")) == open_rollout(file_store.entries()) == expected


def test_a_journal_that_can_not_be_trimmed_has_the_new_line_all_the_same(file_store: FileStore) -> None:
    lease = file_store.acquire(ANNA)
    journal = grown(file_store, OPENED)
    Path(f"{journal}.new").mkdir()
    size = journal.stat().st_size
    file_store.append(lease, entry(detail="last"))
    assert journal.stat().st_size > size
    assert file_store.entries()[-1].detail == "last"


def test_a_newer_journal_is_refused_and_unknown_keys_are_ignored(file_store):
    file_store.append(file_store.acquire(ANNA), entry())
    journal = Path(file_store.folder, "journal")
    line = journal.read_text()
    journal.write_text(line.replace('"run"', '"colour":"red","run"'))
    assert len(file_store.entries()) == 1
    journal.write_text(line.replace("journal/1", "journal/2"))
    with pytest.raises(RackwrightError, match=r"gate1: journal: was written by a newer rackwright \(journal/2\)"):
        file_store.entries()


def test_a_rollout_is_open_until_it_is_closed():
    opened = entry(Event.OPENED, "r2")
    done = [entry(Event.OPENED, "r1"), entry(Event.CLOSED, "r1"), opened, entry(Event.INTENT, "r2")]
    assert open_rollout(done) == opened
    assert open_rollout([*done, entry(Event.CLOSED, "r2")]) is None
    assert open_rollout([]) is None
