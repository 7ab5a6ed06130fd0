"""The ledger's program: sums and residuals of made-up histories, the journal, and the document."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from rackwright.operations.log_program.document import save
from rackwright.operations.log_program.ending import (
    CANCELLED,
    COMPLETED,
    INTERRUPTED,
    REJECTED,
    milliseconds,
    outcome,
)
from rackwright.operations.log_program.journal import Journal, Place
from rackwright.roles.ledger.program.book import Book, parse_book
from rackwright.roles.ledger.program.lines import parse_line
from rackwright.roles.ledger.program.main import TRIES, Sources, load, look, run
from rackwright.roles.ledger.program.reckon import narrowed
from rackwright.roles.ledger.program.rows import Row
from rackwright.roles.ledger.program.tables import Tables, parse_tables

HOUR = 3_600_000
START = 500_000 * HOUR
"""In the hour 500000, which begins a day no earlier than 8 hours before."""
ENDS: tuple[dict[str, object], ...] = (
    {"end": "completed", "status": 200, "first_byte_ms": 5},
    {"end": "client_aborted", "status": 200, "first_byte_ms": 5},
    {"end": "server_error", "status": 200, "first_byte_ms": 5},
    {"end": "completed", "status": 429, "first_byte_ms": 5},
)


def line(began: int, lasted: int, key: str = "good", side: str = "cloud", **more: object) -> bytes:
    """Return an accepted request's line."""
    time = datetime.fromtimestamp(began / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    said = {"time": time, "key": key, "side": side, "total_ms": lasted, **ENDS[0], **more, "accepted": True}
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


@dataclass
class Request:
    began: int
    ended: int
    row: Row
    pid: int
    lost: bool
    outcome: int

    @property
    def line(self) -> bytes:
        more = ENDS[self.outcome]
        return line(self.began, self.ended - self.began, self.row.key, self.row.side, **more)


class Lines(Journal):
    """A journal that has those lines of a history that were written by now."""

    def __init__(self, history: History) -> None:
        super().__init__("tag")
        self.history = history

    def sync(self) -> None:
        pass

    def lines(self, place: Place, since_hour: int, lost: Callable[[], None]) -> Iterator[bytes]:
        written = [one for one in self.history.requests if not one.lost and one.ended <= self.history.now]
        lines = [one.line for one in sorted(written, key=lambda one: one.ended)]
        yield from lines[int(place.cursor or 0) :]
        place.cursor = str(len(lines))


@dataclass
class History:
    """Requests at one gateway, whose workers are replaced by reloads and killed."""

    random: Random
    requests: list[Request] = field(default_factory=list)
    now: int = 0

    @property
    def sources(self) -> Sources:
        return Sources(self.tables, Lines(self), self.wait)

    def wait(self) -> None:
        self.now += self.random.randrange(1, 400)

    def tables(self) -> Tables:
        """Read the tables: each worker at some instant of ten milliseconds."""
        began, ended = self.now, self.now + 10
        found = Tables(began, ended)
        instants = {one.pid: self.random.randrange(began, ended + 1) for one in self.requests}
        for one in self.requests:
            at = instants[one.pid]
            if one.began <= at:
                # HAProxy counts what falls back in both rows.
                for row in {one.row, one.row._replace(side="fleet")} if one.row.side == "fallback" else {one.row}:
                    counts = found.accepted.setdefault(("gate1", row), {})
                    counts[one.pid] = counts.get(one.pid, 0) + 1
                found.running[one.row] = found.running.get(one.row, 0) + (at < one.ended)
        self.now = ended + self.random.randrange(20)
        return found

    def lost(self) -> dict[Row, tuple[int, int]]:
        """Return how many of each row are lost by the end."""
        rows = {one.row for one in self.requests}
        found = {row: sum(one.lost and one.row == row for one in self.requests) for row in rows}
        return {row: (number, number) for row, number in found.items() if number}


def made(seed: int) -> History:
    """Return some hours of requests, with reloads and now and then a kill."""
    random = Random(seed)  # noqa: S311 — no secret
    history = History(random, now=START)
    changes = sorted(random.randrange(START, START + 5 * HOUR) for _ in range(6))
    kills = [at for at in changes if random.random() < 0.4]
    for _ in range(400):
        began = random.randrange(START, START + 5 * HOUR)
        ended = began + random.choice((3, 900, 90_000, HOUR))
        killed = next((at for at in kills if began <= at < ended), None)
        row = Row(began // HOUR, random.choice(("good", "other")), random.choice(("cloud", "fleet", "fallback")))
        pid = 100 + sum(at <= began for at in changes)
        history.requests.append(Request(began, killed or ended, row, pid, killed is not None, random.randrange(4)))
    return history


@pytest.mark.parametrize("seed", range(12))
def test_the_residual_is_exactly_what_was_lost_whenever_somebody_looks(seed: int) -> None:
    history, book = made(seed), Book("gate1", START // HOUR)
    while history.now < START + 7 * HOUR:
        look(book, history.sources)
        book = parse_book(book.text())
        for row, (low, high) in book.residuals.items():
            lost = sum(one.lost and one.row == row and one.ended <= history.now for one in history.requests)
            assert low <= lost
            assert high >= 0
        history.now += history.random.randrange(1, HOUR // 2)
    assert book.residuals == history.lost()
    assert book.running == {}
    assert sum(book.own(row) for row in book.rows()) == len(history.requests)
    for kind in range(4):
        expected = sum(not one.lost and one.outcome == kind for one in history.requests)
        assert sum(counts[kind] for counts in book.outcomes.values()) == expected


def test_old_hours_become_daily_sums_with_nothing_lost_and_days_end_at_last() -> None:
    history, book = made(3), Book("gate1", START // HOUR)
    history.now = START + 7 * HOUR
    look(book, history.sources)
    book.count("gate2", Row(START // HOUR, "good", "cloud"), 9, 4)
    lost = sum(low for low, _ in book.residuals.values())
    book.fold(START + 96 * HOUR)
    assert (book.rows(), book.residuals, book.running) == (set(), {}, {})
    own = [sums for day, sums in book.days.items() if day.gateway == "gate1"]
    twice = sum(sums[0] for day, sums in book.days.items() if day.side == "fallback")
    assert sum(sums[0] for sums in own) - twice == len(history.requests)
    assert sum(sums[0] - sum(sums[1:]) for sums in own) - twice == lost
    assert [sums for day, sums in book.days.items() if day.gateway == "gate2"] == [[4, 0, 0, 0, 0]]
    # A very long answer ends after its hour was folded; HAProxy may still have its entry.
    row = history.requests[0].row
    before = book.days[next(day for day in book.days if day[1:] == (row.hour // 24, row.key, row.side))][:]
    book.ended(row, COMPLETED)
    book.count("gate1", row, 100, 1000)
    after = book.days[next(day for day in book.days if day[1:] == (row.hour // 24, row.key, row.side))]
    assert [one - other for one, other in zip(after, before, strict=True)] == [0, 1, 0, 0, 0]
    book.fold(START + 500 * 24 * HOUR)
    assert book.days == {}


def test_more_outcomes_than_accepted_are_a_residual_below_zero() -> None:
    history, book = made(0), Book("gate1", START // HOUR)
    history.now = START + 7 * HOUR
    forgotten = history.requests[0]
    forgotten.lost = False
    tables = history.tables

    def forgetful() -> Tables:
        found = tables()
        found.accepted["gate1", forgotten.row][forgotten.pid] -= 1
        return found

    expected = dict(history.lost())
    look(book, Sources(forgetful, Lines(history), history.wait))
    low = expected.pop(forgotten.row, (0, 0))[0] - 1
    assert book.residuals == expected | ({forgotten.row: (low, low)} if low else {})


def test_a_residual_that_is_known_is_not_looked_at_again_and_a_new_one_is_only_so_often() -> None:
    history, book = made(1), Book("gate1", START // HOUR)
    history.now = START + 7 * HOUR
    assert history.lost()
    looks: list[int] = []

    def counted() -> Tables:
        looks.append(history.now)
        return history.tables()

    sources = Sources(counted, Lines(history), history.wait)
    look(book, sources)
    assert len(looks) == TRIES
    look(book, sources)
    assert len(looks) == TRIES + 1


def test_bounds_of_two_looks_are_narrowed_unless_they_contradict_each_other() -> None:
    row = Row(1, "good", "cloud")
    assert narrowed({row: (-2, 1)}, {row: (0, 3)}) == {row: (0, 1)}
    assert narrowed({row: (0, 0)}, {row: (3, 3)}) == {row: (3, 3)}
    assert narrowed({}, {row: (3, 4)}) == {row: (3, 4)}


@pytest.mark.parametrize(
    ("end", "status", "first_byte_ms", "expected"),
    [
        ("completed", 200, 5, COMPLETED),
        ("completed", 204, None, COMPLETED),
        ("completed", 429, 5, REJECTED),
        ("completed", 500, 5, REJECTED),
        ("refused", 400, 0, REJECTED),
        ("client_aborted", 200, 5, CANCELLED),
        ("client_aborted", 400, -1, CANCELLED),
        ("client_aborted", 0, None, CANCELLED),
        ("server_error", 200, 5, INTERRUPTED),
        ("timeout", 200, 5, INTERRUPTED),
        ("killed", 200, 5, INTERRUPTED),
        ("server_error", 502, 5, REJECTED),
        ("server_error", 200, -1, REJECTED),
        ("killed", -1, None, REJECTED),
        ("gateway_error", 0, None, REJECTED),
    ],
)
def test_what_became_of_a_request(end: str, status: int, first_byte_ms: int | None, expected: int) -> None:
    assert outcome(end, status, first_byte_ms) == expected


def test_a_line_s_hour_is_that_of_its_beginning_and_its_end_is_later() -> None:
    began = milliseconds("2026-12-02T05:59:59.900Z")
    assert datetime.fromtimestamp(began / 1000, UTC).isoformat() == "2026-12-02T05:59:59.900000+00:00"
    assert parse_line(line(began, 250)) == (Row(began // HOUR, "good", "cloud"), COMPLETED, began + 250)
    assert parse_line(line(began, -1)) == (Row(began // HOUR, "good", "cloud"), COMPLETED, began)


@pytest.mark.parametrize(
    "change",
    [
        {"accepted": None},
        {"accepted": False},
        {"key": None},
        {"key": "Not|An-id"},
        {"key": "a" * 25},
        {"side": None},
        {"side": "moon"},
        {"time": "yesterday"},
        {"time": "2026-12-02T25:00:00.000Z"},
        {"time": 7},
        {"status": "200"},
        {"total_ms": "1e400"},
    ],
)
def test_a_line_that_no_gateway_writes_is_not_counted(change: dict[str, object]) -> None:
    said = json.loads(line(START, 5)) | change
    assert parse_line(json.dumps(said).encode()) is None
    assert parse_line(b"[]") is None
    assert parse_line(b"\xff") is None


TABLE = """== own gate1 100 {began}
# table: gateways/accepted.gate1, type: string, size:102400, used:2
0x7f01: key=good|fleet|500000|100|.... use=1 exp=172790000 shard=0 gpc0=3 conn_cur=1
0x7f02: key=good|fleet|500000|90 use=0 exp=172790000 shard=0 gpc0=7 conn_cur=4

== read {read}
== copy gate2 100 {read}
# table: gateways/accepted.gate2, type: string, size:102400, used:1
0x7f03: key=good|cloud|500000|100 use=0 exp=172790000 shard=0 gpc0=5 conn_cur=2

== read {read}
== end
"""


def test_tables_say_what_all_workers_accepted_and_what_the_asked_ones_have_running() -> None:
    found = parse_tables(TABLE.format(began=START, read=START + 9))
    fleet, cloud = (Row(500_000, "good", side) for side in ("fleet", "cloud"))
    assert (found.began, found.ended) == (START, START + 9)
    assert found.accepted == {("gate1", fleet): {100: 3, 90: 7}, ("gate2", cloud): {100: 5}}
    # A worker's copy of another's entry has no count of what runs there.
    assert found.running == {fleet: 1}


def test_what_falls_back_runs_in_one_row_only() -> None:
    moved = "0x7f09: key=good|fallback|500000|100 use=1 exp=1 shard=0 gpc0=1 conn_cur=1\n"
    table = TABLE.format(began=START, read=START + 9).replace("0x7f", f"{moved}0x7f", 1)
    fleet, fallback = (Row(500_000, "good", side) for side in ("fleet", "fallback"))
    found = parse_tables(table)
    assert found.running == {fallback: 1, fleet: 0}
    # What counts them for the fleet was read after the request had ended.
    assert parse_tables(table.replace("gpc0=3 conn_cur=1", "gpc0=3 conn_cur=0")).running == {fallback: 1, fleet: 0}


def test_tables_that_were_not_read_to_their_end_are_refused_and_strange_entries_are_dropped() -> None:
    whole = TABLE.format(began=START, read=START + 9)
    with pytest.raises(ValueError, match="to their end"):
        parse_tables(whole.removesuffix("== end\n"))
    with pytest.raises(ValueError, match="no worker"):
        parse_tables("== end\n")
    with pytest.raises(ValueError, match="not a gateway"):
        parse_tables(whole.replace("gate1", "Gate_1"))
    for strange in ("key=good|moon|", "key=../x|fleet|"):
        assert parse_tables(whole.replace("key=good|fleet|", strange)).dropped == 2


def journal(tmp_path: Path, lines: list[bytes], cursor: str = "s=1;i=2", status: int = 0) -> Journal:
    """Return a journal whose program prints these lines and the last one's cursor, and writes down its options."""
    (tmp_path / "lines").write_bytes(b"".join(lines) + (f"-- cursor: {cursor}\n".encode() if lines else b""))
    program = tmp_path / "journalctl"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\ncat {tmp_path}/lines\nexit {status}\n')
    program.chmod(0o755)
    return Journal("tag", (str(program),))


def test_reading_goes_on_after_the_last_line_that_was_read(tmp_path: Path) -> None:
    place, lost = Place("", ""), list[str]()
    lines = [line(START + number, 1) for number in range(3)]
    assert list(journal(tmp_path, lines).lines(place, 500_000, lambda: lost.append("lost"))) == lines
    assert place.cursor == "s=1;i=2"
    again = journal(tmp_path, [lines[2], line(START + 9, 1)], cursor="s=1;i=3")
    assert list(again.lines(place, 500_000, lambda: lost.append("lost"))) == [line(START + 9, 1)]
    nothing = journal(tmp_path, [line(START + 9, 1)], cursor="s=1;i=3")
    assert list(nothing.lines(place, 500_000, lambda: lost.append("lost"))) == []
    assert (place.cursor, lost) == ("s=1;i=3", [])
    asked = (tmp_path / "asked").read_text().splitlines()
    assert ["--since=@1800000000" in asked[0], "--cursor=s=1;i=2" in asked[1], "--cursor=s=1;i=3" in asked[2]] == [
        True
    ] * 3


@pytest.mark.parametrize("left", [[], [line(START + 7, 1)]], ids=["nothing", "later lines"])
def test_a_place_that_the_journal_no_longer_has_is_noticed(tmp_path: Path, left: list[bytes]) -> None:
    place, lost = Place("s=1;i=1", "0" * 64), list[str]()
    assert list(journal(tmp_path, left).lines(place, 500_000, lambda: lost.append("lost"))) == left
    assert lost == ["lost"]


def test_a_journal_that_can_t_be_read_to_its_end_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="status 1"):
        list(journal(tmp_path, [line(START, 1)], status=1).lines(Place("", ""), 0, list))


def test_an_endless_line_is_no_line(tmp_path: Path) -> None:
    lines = [b"x" * 200_000 + b'{"accepted":true}\n', line(START, 1)]
    assert list(journal(tmp_path, lines).lines(Place("", ""), 0, list)) == [b"\n", line(START, 1)]


def test_lost_lines_are_in_the_document_with_the_times_between_which_they_were(tmp_path: Path) -> None:
    book = Book("gate1", 500_000, taken=START, cursor="s=1;i=1", last="0" * 64, read=START)
    source = journal(tmp_path, [line(START + 50_000, 10)])
    tables = Tables(START + 60_000, START + 60_010)
    tables.count("gate1", Row(500_000, "good", "cloud"), 7, 3)
    look(book, Sources(lambda: tables, source, lambda: None))
    assert book.lost == [(START, START + 50_010)]
    assert book.residuals == {Row(500_000, "good", "cloud"): (2, 2)}
    assert parse_book(book.text()) == book


@pytest.mark.parametrize("text", ["", "{}", "no document", '{"format":"ledger/2"}', '{"format":"ledger/1"}'])
def test_a_document_that_can_t_be_read_stays_and_the_run_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    state = tmp_path / "ledger.json"
    state.write_text(text)
    assert run("gate1", "/bin/true", "tag", str(state)) == 1
    assert state.read_text() == text
    assert str(state) in capsys.readouterr().err


def test_a_ledger_of_another_gateway_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "ledger.json"
    save(state, Book("gate2", 1).text())
    with pytest.raises(ValueError, match="of gateway gate2, and this is gate1"):
        load(state, "gate1", START)
    assert load(state, "gate2", START) == Book("gate2", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.json"]


def test_a_haproxy_that_can_t_be_asked_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "ledger.json"
    assert run("gate1", "/bin/false", "tag", str(state)) == 1
    assert not state.exists()
    assert "HAProxy can't be asked" in capsys.readouterr().err
