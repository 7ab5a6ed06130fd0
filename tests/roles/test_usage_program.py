"""The usage program without a gateway: lines, days, crashes, clocks, quotas and what HAProxy is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rackwright.operations.log_program import document
from rackwright.operations.log_program.ending import CANCELLED, COMPLETED
from rackwright.operations.log_program.journal import Journal, Place
from rackwright.roles.usage.program import main
from rackwright.roles.usage.program.day import COLUMNS, EDGES, MOST_GAPS, MOST_ROWS, Day, Ended, Row
from rackwright.roles.usage.program.form import days_text, parse_days, parse_state, state_text
from rackwright.roles.usage.program.lines import parse_ended
from rackwright.roles.usage.program.main import DAYS_KEPT, Places, Proxy, look
from rackwright.roles.usage.program.periods import after_month, daily, date_of, day_of, kept, monthly
from rackwright.roles.usage.program.quotas import Quota, key_quotas, quotas_map, team_quotas
from rackwright.roles.usage.program.state import State, Sum
from rackwright.roles.usage.program.tables import Seen, changes, parse_seen

NOON = int(datetime(2026, 12, 5, 12, tzinfo=UTC).timestamp() * 1000)
TODAY = NOON // 86_400_000
SHA = "5f" * 32


def line(at: int = NOON, took: int = 500, **more: object) -> bytes:
    """Return a line of a request that began then."""
    time = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    said = {
        "format": "access/1", "time": time, "request": "r", "key": "web", "owner": "research", "model": "chat",
        "status": 200, "end": "completed", "first_byte_ms": 120, "total_ms": took, "prompt_tokens": 70,
        "completion_tokens": 5, "cached_tokens": 64, "estimated": None, "replica": "gpu1/chat@1",
    }  # fmt: skip
    return json.dumps(said | more, separators=(",", ":")).encode() + b"\n"


class Killed(Exception):
    """The program ends here."""


class Lines(Journal):
    """A stand-in for the journal: the lines that it has, and how many of the first it has removed."""

    def __init__(self) -> None:
        super().__init__("tag")
        self.all: list[bytes] = []
        self.removed = 0

    def sync(self) -> None:
        pass

    def lines(self, place: Place, since_hour: int, lost: Callable[[], None]) -> Iterator[bytes]:
        begins = int(place.cursor or 0)
        if begins < self.removed:
            lost()
        yield from self.all[max(begins, self.removed) :]
        place.cursor = str(len(self.all))


@dataclass
class Gateway:
    """The program with stand-ins for HAProxy and the journal."""

    folder: Path
    journal: Lines = field(default_factory=Lines)
    seen: Seen = field(default_factory=Seen)
    commands: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    teams: tuple[Quota, ...] = ()
    now: int = NOON

    def __post_init__(self) -> None:
        (self.folder / "keys.map").write_text(f"{SHA} web|0|all|0|0||\n")

    @property
    def places(self) -> Places:
        return Places(self.folder / "usage")

    @property
    def proxy(self) -> Proxy:
        return Proxy(lambda: self.seen, self.tell, self.folder)

    def tell(self, lines: Iterable[str], load: bool) -> None:
        self.commands += lines
        if load:
            self.loads.append((self.folder / "quotas.map").read_text())
            self.seen.quotas = {*self.loads[-1].splitlines()}

    def look(self) -> State:
        return look("gate1", self.places, self.journal, self.proxy, self.teams, lambda: self.now / 1000)

    def log(self, *lines: bytes) -> None:
        self.journal.all += lines

    def days(self) -> dict[int, Day]:
        """Return what a reader finds: the open days first."""
        found: dict[int, Day] = {}
        for path in (self.places.state, *self.places.days.glob("*.json")):
            for day in parse_days(path.read_text())[1]:
                found.setdefault(day.day, day)
        return found

    def requests(self) -> dict[int, int]:
        """Return how many requests each day has."""
        return {number: sum(sum(sums[:4]) for sums in day.rows.values()) for number, day in self.days().items()}


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


def counted(histogram: list[int]) -> dict[int, int]:
    return {EDGES[place]: count for place, count in enumerate(histogram) if count}


def test_a_request_counts_by_key_owner_and_model_with_its_tokens_and_times(gateway: Gateway) -> None:
    gateway.log(line(), line(took=700), line(key="app", owner=None, end="client_aborted", estimated=True))
    day = gateway.look().days[TODAY]
    assert {row: dict(zip(COLUMNS, sums, strict=True)) for row, sums in day.rows.items()} == {
        Row("web", "research", "chat"): {
            "completed": 2, "cancelled": 0, "interrupted": 0, "rejected": 0, "prompt_tokens": 140,
            "cached_tokens": 128, "completion_tokens": 10, "estimated": 0, "milliseconds": 1200,
        },
        Row("app", "", "chat"): {
            "completed": 0, "cancelled": 1, "interrupted": 0, "rejected": 0, "prompt_tokens": 70,
            "cached_tokens": 64, "completion_tokens": 5, "estimated": 1, "milliseconds": 500,
        },
    }  # fmt: skip
    assert [(EDGES[place], count) for place, count in enumerate(day.latency["chat"].first_byte) if count] == [
        (150, 2)
    ]
    # 500 ms isn't below 500 ms.
    assert counted(day.latency["chat"].total) == {750: 2}


def test_a_request_without_a_valid_key_or_model(gateway: Gateway) -> None:
    gateway.log(line(key=None, model=None, status=401), line(model=None, status=404, prompt_tokens=None))
    assert gateway.look().days[TODAY].rows.keys() == {Row("web", "research", "")}


@pytest.mark.parametrize(
    "broken",
    [
        b"{\n",
        b"\xff\n",
        b"[]\n",
        b"null\n",
        b"[" * 100_000 + b"\n",
        line(prompt_tokens=-1),
        line(prompt_tokens=2**40),
        line(completion_tokens=True),
        line(total_ms="soon"),
        line(key="a\nb"),
        line(owner="x" * 201),
        line(time="yesterday"),
        line(time="0001-01-01T00:00:00.000Z"),
        line().replace(b'"key"', b'"kez"'),
        line().replace(b"500", b"1e999"),
    ],
)
def test_a_line_that_cant_be_read_counts_as_lost(gateway: Gateway, broken: bytes) -> None:
    gateway.log(line(), broken, line())
    day = gateway.look().days[TODAY]
    assert (day.lost, gateway.requests()) == (1, {TODAY: 2})


def test_every_line_counts_once_over_many_looks_and_days(gateway: Gateway) -> None:
    for hours in range(0, 72, 6):
        gateway.now = NOON + hours * 3_600_000
        gateway.log(line(gateway.now - 1000), line(gateway.now - 2000))
        gateway.look()
    assert gateway.requests() == {TODAY: 6, TODAY + 1: 8, TODAY + 2: 8, TODAY + 3: 2}
    assert sorted(path.name for path in gateway.places.days.glob("*")) == [
        "2026-12-05.json",
        "2026-12-06.json",
        "2026-12-07.json",
    ]


def test_a_request_counts_on_the_day_when_it_ends(gateway: Gateway) -> None:
    midnight = (TODAY + 1) * 86_400_000
    gateway.now = midnight + 60_000
    gateway.log(line(midnight - 5000, 4999), line(midnight - 5000, 5000))
    gateway.look()
    assert gateway.requests() == {TODAY: 1, TODAY + 1: 1}


@pytest.mark.parametrize("writes", range(7))
def test_a_program_that_is_killed_between_two_writes_counts_nothing_twice_or_never(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """It closes three days. The process ends after so many of its writes, and a later one goes on."""
    for day in range(3):
        gateway.log(line(NOON + day * 86_400_000), line(NOON + day * 86_400_000))
    gateway.now = NOON + 3 * 86_400_000
    left = writes

    def save(path: Path, text: str, mode: int = 0o600) -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        real(path, text, mode)

    real = document.save
    monkeypatch.setattr(document, "save", save)
    # The state, three days, the state again, and what is reused.
    with pytest.raises(Killed) if writes < 6 else nullcontext():
        gateway.look()
    monkeypatch.setattr(document, "save", real)
    gateway.look()
    assert gateway.requests() == {TODAY: 2, TODAY + 1: 2, TODAY + 2: 2}
    assert gateway.look().used[Sum("key", "web", daily(TODAY + 2))] == 150


def test_a_line_that_is_read_late_opens_its_day_again(gateway: Gateway) -> None:
    gateway.log(line())
    gateway.now += 2 * 86_400_000
    gateway.look()
    assert TODAY not in gateway.look().days
    gateway.log(line())
    gateway.look()
    assert gateway.requests() == {TODAY: 2}


def test_a_clock_that_was_far_ahead_for_a_moment_loses_nothing(gateway: Gateway) -> None:
    gateway.log(line())
    gateway.look()
    ahead = NOON + 20 * 365 * 86_400_000
    gateway.now = ahead
    gateway.log(line(ahead))
    gateway.look()
    gateway.now = NOON + 1000
    gateway.log(line())
    gateway.look()
    assert gateway.requests() == {TODAY: 2, ahead // 86_400_000: 1}


def test_a_line_of_a_clock_that_is_ahead_counts_tomorrow_at_the_latest(gateway: Gateway) -> None:
    gateway.log(line(NOON + 5 * 86_400_000))
    gateway.look()
    assert gateway.requests() == {TODAY + 1: 1}


def restore(gateway: Gateway, state: str) -> None:
    """Do what a restore does with a snapshot's state."""
    document.save(gateway.places.folder / "restored.json", state)


def lose(gateway: Gateway) -> None:
    """Set up a new machine: neither what it had counted nor its journal is left."""
    shutil.rmtree(gateway.places.folder)
    gateway.journal.all.clear()
    gateway.now += 1000


def test_a_restored_state_joins_what_was_counted_since(gateway: Gateway) -> None:
    gateway.log(line(), line(owner="sales", model="other"))
    gateway.look()
    saved = gateway.places.state.read_text()
    lose(gateway)
    gateway.now += 3_600_000
    gateway.log(line(gateway.now - 1000))
    gateway.look()
    for _ in range(2):
        restore(gateway, saved)
        state = gateway.look()
        assert not (gateway.places.folder / "restored.json").exists()
        day = gateway.days()[TODAY]
        rows = {(row.owner, row.model): sums[0] for row, sums in day.rows.items()}
        assert rows == {("research", "chat"): 2, ("sales", "other"): 1}
        assert (sum(day.latency["chat"].total), day.reuse) == (2, {"gpu1/chat@1": (210, 192)})
        assert day.gaps == [(NOON + 500, gateway.now)]
        assert state.used[Sum("owner", "sales", daily(TODAY))] == 75


def test_a_restored_state_of_a_day_that_is_over_joins_that_day(gateway: Gateway) -> None:
    gateway.log(line())
    gateway.look()
    saved = gateway.places.state.read_text()
    lose(gateway)
    gateway.log(line())
    gateway.look()
    gateway.now += 2 * 86_400_000
    gateway.look()
    restore(gateway, saved)
    gateway.look()
    assert gateway.requests() == {TODAY: 2}
    assert gateway.places.day(TODAY).exists()


def test_a_gateway_that_lost_nothing_counts_nothing_twice_after_a_restore(gateway: Gateway) -> None:
    gateway.log(line())
    gateway.look()
    saved = gateway.places.state.read_text()
    gateway.log(line())
    restore(gateway, saved)
    gateway.look()
    gateway.now += 2 * 86_400_000
    gateway.look()
    restore(gateway, saved)
    gateway.look()
    assert gateway.requests() == {TODAY: 2}
    assert gateway.days()[TODAY].gaps == []


def test_a_gateway_without_a_state_goes_on_from_the_restored_one(gateway: Gateway) -> None:
    gateway.log(line(), line())
    gateway.look()
    restore(gateway, gateway.places.state.read_text())
    gateway.places.state.unlink()
    gateway.log(line())
    gateway.look()
    assert gateway.requests() == {TODAY: 3}


def test_sums_that_another_gateway_still_knew_do_not_count_twice(gateway: Gateway) -> None:
    gateway.log(line())
    used = gateway.look().used
    saved = gateway.places.state.read_text()
    lose(gateway)
    gateway.seen.used = {"gate1": used}
    gateway.look()
    restore(gateway, saved)
    assert gateway.look().used == used


@pytest.mark.parametrize("text", ["{", '{"format":"usage/2"}', "gate2"])
def test_a_restored_state_that_cant_be_read_is_set_aside(
    gateway: Gateway, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.log(line())
    gateway.look()
    text = gateway.places.state.read_text().replace("gate1", "gate2") if text == "gate2" else text
    restore(gateway, text)
    gateway.look()
    assert gateway.requests() == {TODAY: 1}
    assert (gateway.places.folder / "unreadable.json").read_text() == text
    assert "what a restore brought back isn't counted: " in capsys.readouterr().err


def test_a_program_that_is_killed_while_a_restored_state_joins_adds_it_once(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.log(line())
    gateway.look()
    saved = gateway.places.state.read_text()
    lose(gateway)
    gateway.look()
    restore(gateway, saved)
    for name in ("replace", "unlink"):
        with monkeypatch.context() as patched:
            patched.setattr(Path, name, killed)
            with pytest.raises(Killed):
                gateway.look()
    gateway.look()
    assert gateway.requests() == {TODAY: 1}


def killed(*_: object) -> None:
    raise Killed


def test_the_newest_days_are_kept(gateway: Gateway) -> None:
    gateway.look()
    for number in range(TODAY - DAYS_KEPT - 3, TODAY):
        document.save(gateway.places.day(number), days_text("gate1", [Day(number)]))
    gateway.look()
    assert min(gateway.days()) == TODAY - DAYS_KEPT
    assert len(gateway.days()) == DAYS_KEPT


def test_lines_that_the_journal_removed_before_they_were_read_are_a_gap(gateway: Gateway) -> None:
    gateway.log(line(NOON - 60_000, 0))
    gateway.look()
    gateway.log(line(), line(NOON + 1000, 0))
    gateway.journal.removed = 2
    assert gateway.look().days[TODAY].gaps == [(NOON - 60_000, NOON + 1000)]
    gateway.log(line())
    gateway.journal.removed = 4
    gateway.now += 5000
    assert gateway.look().days[TODAY].gaps[1:] == [(NOON + 1000, NOON + 5000)]
    for _ in range(MOST_GAPS + 5):
        gateway.log(line())
        gateway.journal.removed += 1
        gaps = gateway.look().days[TODAY].gaps
    assert len(gaps) == MOST_GAPS


def test_lines_that_haproxy_could_not_log_are_lost_once(gateway: Gateway) -> None:
    lost = []
    for dropped in ({7: 0}, {7: 3}, {7: 3, 8: 1}, {8: 4}, {8: 4}, {8: 1}):
        gateway.seen.dropped = dropped
        state = gateway.look()
        lost.append(state.days[TODAY].lost if TODAY in state.days else 0)
    # A worker that counts from less has another's process id.
    assert lost == [0, 3, 4, 7, 7, 8]


def test_more_rows_than_a_day_takes_count_as_lost() -> None:
    day = Day(TODAY)
    ended = Ended(NOON, Row("web", "", "chat"), COMPLETED, 1, 0, 1, False, None, 1)
    for number in range(MOST_ROWS + 2):
        day.count(ended._replace(row=Row(f"k{number}", "", "chat"), outcome=CANCELLED))
    assert (len(day.rows), day.lost) == (MOST_ROWS, 2)


def test_a_document_can_be_read_again(gateway: Gateway) -> None:
    gateway.seen.dropped = {7: 1}
    gateway.seen.used = {"gate2": {Sum("owner", "research", "m202612"): 5 * 10**12}}
    gateway.log(line(), line(owner='Zoë "|" O\\Neil'))
    state = gateway.look()
    assert parse_state(state_text(state)) == state
    assert parse_state(gateway.places.state.read_text()) == state


def test_what_each_replica_took_from_its_cache_today_is_a_document_of_its_own(gateway: Gateway) -> None:
    def reuse() -> list[tuple[int, dict[str, tuple[int, int]]]]:
        days = parse_days(gateway.places.reuse.read_text())[1]
        return [(day.day, dict(day.reuse)) for day in days]

    other = line(replica="gpu2/chat@1", prompt_tokens=100, cached_tokens=0)
    gateway.log(line(), line(), other, line(estimated=True), line(replica=None, prompt_tokens=9))
    gateway.look()
    assert reuse() == [(TODAY, {"gpu1/chat@1": (140, 128), "gpu2/chat@1": (100, 0)})]
    gateway.now += 86_400_000
    gateway.look()
    assert reuse() == [(TODAY + 1, {})]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"format":"usage/9"}', 'it is "usage/9", and this rackwright reads usage/1'),
        ("[]", "not a document of usage/1"),
        ("{", "Expecting property name"),
    ],
)
def test_a_state_that_cant_be_read_stops_the_program_and_stays(gateway: Gateway, text: str, why: str) -> None:
    gateway.look()
    gateway.places.state.write_text(text)
    with pytest.raises(ValueError, match=why):
        gateway.look()
    assert gateway.places.state.read_text() == text


def test_the_state_of_another_gateway_is_refused(gateway: Gateway) -> None:
    gateway.look()
    gateway.places.state.write_text(state_text(State("gate2")))
    with pytest.raises(ValueError, match="is of gateway gate2, and this is gate1"):
        gateway.look()


def test_other_columns_are_refused() -> None:
    text = days_text("gate1", [Day(TODAY)]).replace("prompt_tokens", "tokens")
    with pytest.raises(ValueError, match="other columns or edges"):
        parse_days(text)


def test_the_unit_says_why_it_fails_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run("gate1", str(tmp_path), str(tmp_path), "tag", str(tmp_path / "usage")) == 1
    assert capsys.readouterr().err.startswith("usage is not up to date: [Errno 2]")
    assert not (tmp_path / "usage").exists()


@pytest.mark.parametrize(
    ("date", "last"), [("2026-12-31", "2027-01-01"), ("2024-02-29", "2024-03-01"), ("2026-01-01", "2026-02-01")]
)
def test_a_month_ends_with_the_first_day_of_the_next(date: str, last: str) -> None:
    day = day_of(datetime.fromisoformat(date).date())
    assert date_of(after_month(day)).isoformat() == last
    assert {daily(day), monthly(day)} <= kept(day)
    assert monthly(day) in kept(day + 31)


def use(percents: dict[str, tuple[int, int]], per_day: int = 1000, per_month: int = 10_000) -> str:
    """Return quotas.map for a team that used this at each gateway, in the day and in the month."""
    state = State("gate1")
    for gateway, (day, month) in percents.items():
        sums = {Sum("owner", "research", daily(TODAY)): day, Sum("owner", "research", monthly(TODAY)): month}
        state.learn(gateway, sums)
    return quotas_map([Quota("owner", "research", per_day, per_month)], state, TODAY)


TOMORROW = (TODAY + 1) * 86_400
NEXT_MONTH = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("used", "limits", "said"),
    [
        ({"gate1": (799, 799)}, (1000, 10_000), ""),
        ({"gate1": (800, 800)}, (1000, 10_000), f"80|{TOMORROW}"),
        ({"gate1": (999, 999)}, (1000, 10_000), f"99|{TOMORROW}"),
        ({"gate1": (600, 600), "gate2": (400, 400)}, (1000, 10_000), f"100|{TOMORROW}"),
        ({"gate1": (900, 9900)}, (1000, 10_000), f"99|{NEXT_MONTH}"),
        # Refused until the later of both.
        ({"gate1": (2000, 10_000)}, (1000, 10_000), f"100|{NEXT_MONTH}"),
        ({"gate1": (1500, 9999)}, (1000, 10_000), f"150|{TOMORROW}"),
        ({"gate1": (5000, 9500)}, (0, 10_000), f"95|{NEXT_MONTH}"),
        ({"gate1": (5000, 5000)}, (10_000, 0), ""),
        # A quota that was lowered below what is used, and one beyond 32 bits.
        ({"gate1": (10**12, 10**12)}, (1, 0), f"999999|{TOMORROW}"),
        ({"gate1": (2**32 + 5, 2**32 + 5)}, (0, 2**32), f"100|{NEXT_MONTH}"),
        ({}, (1000, 1000), ""),
    ],
)
def test_quotas_map_says_how_much_is_used_and_until_when(
    used: dict[str, tuple[int, int]], limits: tuple[int, int], said: str
) -> None:
    assert use(used, *limits) == (f"owner/research {said}\n" if said else "")


def test_the_sum_of_all_gateways_survives_a_lost_gateway_a_restart_and_an_older_document(gateway: Gateway) -> None:
    month = Sum("owner", "research", monthly(TODAY))
    gateway.teams = (Quota("owner", "research", 0, 1000),)
    gateway.log(line())
    gateway.seen.used = {"gate1": {}, "gate2": {month: 900}}
    assert gateway.look().total(month) == 975
    # gate2 and HAProxy's memory are gone.
    gateway.seen.used = {"gate1": {}}
    assert gateway.look().total(month) == 975
    # This gateway's document is of an older backup, and HAProxy knows more than that.
    gateway.places.state.unlink()
    gateway.journal.removed = 1
    gateway.seen.used = {"gate1": {month: 75}, "gate2": {month: 900}}
    assert gateway.look().total(month) == 975


def test_haproxy_is_told_what_it_does_not_know(gateway: Gateway) -> None:
    (gateway.folder / "keys.map").write_text(
        f"{SHA} web|0|all|0|0||||research|0|100|0\n{SHA[::-1]} old|0|all|0|0\n{SHA}/chat yes\n"
    )
    gateway.teams = (Quota("owner", "research", 100, 0),)
    gateway.log(line())
    gateway.look()
    filled = f"k|web|{daily(TODAY)}|".ljust(64, "."), f"o|research|{daily(TODAY)}|".ljust(64, ".")
    told = ";".join(f"set table gateways/used.gate1 key {key} data.gpc0 75 data.gpc1 0" for key in filled)
    assert (gateway.commands, gateway.loads) == ([told], [])
    gateway.seen.used = {
        "gate1": {Sum(kind, name, daily(TODAY)): 75 for kind, name in (("key", "web"), ("owner", "research"))}
    }
    gateway.log(line())
    gateway.look()
    assert gateway.commands[1:] == [told.replace(" 75 ", " 150 ")]
    assert gateway.loads == [f"key/web 150|{TOMORROW}\nowner/research 150|{TOMORROW}\n"]
    gateway.seen.used = {"gate1": dict.fromkeys(gateway.seen.used["gate1"], 150)}
    gateway.look()
    assert (len(gateway.commands), len(gateway.loads)) == (2, 1)
    # A worker that has started with other entries, or whose loading failed, gets them again.
    gateway.seen.quotas = set()
    gateway.look()
    assert len(gateway.loads) == 2
    # The next day, all is gone.
    gateway.now += 86_400_000
    gateway.look()
    assert gateway.loads[2:] == [""]


def test_sums_beyond_32_bits_reach_haproxy_in_two_counters_and_come_back() -> None:
    which, tokens = Sum("owner", "research", "m202612"), 7 * 10**12 + 123
    (command,) = changes("gate1", {which: tokens}, {})
    words = command.split()
    assert (words[6], words[8]) == ("123", "7000")
    seen = parse_seen(
        "== dropped 12 3\n== quota 0x55d key/web 99|1\n== table gate1\n# table: gateways/used.gate1, type: string\n"
        f"0x55e0: key={words[4]} use=0 exp=86399000 shard=0 gpc0=123 gpc1=7000\n== table gate2\n== end\n"
    )
    assert seen == Seen({12: 3}, {"gate1": {which: tokens}, "gate2": {}}, {"key/web 99|1"})
    assert all(int(word) < 2**32 for word in (words[6], words[8]))


def test_commands_fit_haproxys_buffer() -> None:
    sums = {Sum("key", f"k{number}", daily(TODAY)): number for number in range(1000)}
    lines = list(changes("gate1", sums, {}))
    assert len(lines) > 10
    assert max(map(len, lines)) < 16_000
    assert sum(line.count("set table") for line in lines) == 1000


@pytest.mark.parametrize("said", ["", "== dropped 1 2\n", "== table gate1\n0x1: key=a gpc0=1 gpc1=2\n"])
def test_an_answer_that_breaks_off_is_no_answer(said: str) -> None:
    with pytest.raises(ValueError, match="to the end"):
        parse_seen(said)


def test_quotas_of_teams_and_keys() -> None:
    assert list(team_quotas('[["research",20,400]]\n')) == [Quota("owner", "research", 20, 400)]
    entries = [
        f"{SHA} a|0|all|0|0||\n",
        f"{SHA} b|0|all|0|0||||Zo%C3%AB|0|7|0\n",
        f"{SHA} c|0|all|0|0||||x|0|0|0\n",
        f"{SHA} d|0|all|0|0||||x|0||\n",
        f"{SHA}/chat yes\n",
    ]
    assert list(key_quotas(entries)) == [Quota("key", "b", 7, 0)]
    with pytest.raises(ValueError, match="a negative number"):
        list(team_quotas('[["research",-1,0]]'))


def test_a_parsed_line_has_what_counts_against_a_quota() -> None:
    assert parse_ended(line()) == Ended(
        NOON + 500, Row("web", "research", "chat"), COMPLETED, 70, 64, 5, False, 120, 500, "gpu1/chat@1"
    )
    ended = parse_ended(line(prompt_tokens=None, completion_tokens=None, cached_tokens=None, first_byte_ms=-1))
    assert ended is not None
    assert (ended.tokens, ended.first_byte_ms) == (0, None)
