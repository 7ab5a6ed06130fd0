"""Windows and freezes, against a model that looks at the wall clock in every minute."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright.values.windows import (
    DAYS,
    HORIZON,
    Freeze,
    Window,
    is_open,
    never_close,
    next_opening,
    open_until,
    parse_freeze,
    parse_window,
)

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ZONES = (
    ("UTC", 2026),
    ("Europe/Berlin", 2027),
    ("America/New_York", 2026),
    ("Asia/Kathmandu", 2026),
    ("Africa/Casablanca", 2026),
    # By half an hour; at midnight; a whole day left out; at one minute past midnight.
    ("Australia/Lord_Howe", 2026),
    ("America/Sao_Paulo", 2018),
    ("Pacific/Apia", 2011),
    ("America/St_Johns", 2010),
)
MODEL_MINUTES = 4 * 24 * 60
WINDOW = "should be days and a time like 'sun 02:00-05:00', 'mon-fri 22:00-04:00' or 'daily 01:00-03:00'"
DAY = "should be mon, tue, wed, thu, fri, sat, sun, a range like mon-fri, or daily"
FREEZE = "should be a day like 2026-11-27, or the first and last like 2026-12-15/2027-01-06"


def windows(*texts: str) -> tuple[Window, ...]:
    return tuple(parse_window(text) for text in texts)


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


def turns(zone: str, year: int) -> list[datetime]:
    """Return the hours of a year before the clock is set, and its first hour."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + HOUR * number for number in range(366 * 24)]
    offsets = [hour.astimezone(ZoneInfo(zone)).utcoffset() for hour in hours]
    both = zip(pairwise(offsets), hours, strict=False)
    return [hours[0], *(hour for (before, after), hour in both if before != after)]


TURNS = {zone: turns(zone, year) for zone, year in ZONES}

times = st.integers(0, 23).flatmap(lambda hour: st.sampled_from((0, 1, 30, 59)).map(lambda m: f"{hour:02}:{m:02}"))
days = st.one_of(
    st.just("daily"),
    st.sampled_from(DAYS),
    st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map("-".join),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[ZoneInfo, datetime, list[str], list[tuple[date, date]]]:
    zone = draw(st.sampled_from([name for name, _ in ZONES]))
    turn = draw(st.sampled_from(TURNS[zone]))
    moment = turn + timedelta(seconds=draw(st.integers(-2 * 86400, 86400)))
    made = []
    for _ in range(draw(st.integers(0, 3))):
        start, end = draw(times), draw(times | st.just("24:00"))
        made += [f"{draw(days)} {start}-{end}"] if start != end else []
    here = moment.astimezone(ZoneInfo(zone)).date()
    starts = draw(st.lists(st.integers(-1, 3), max_size=2))
    freezes = [(here + timedelta(start), here + timedelta(start + draw(st.integers(0, 1)))) for start in starts]
    return ZoneInfo(zone), moment, made, freezes


def model(
    zone: ZoneInfo, moment: datetime, texts: Sequence[str], freezes: Sequence[tuple[date, date]]
) -> list[tuple[datetime, bool]]:
    """Return for the moment, and for each full minute of some days after it, whether patching is possible."""
    table = [not texts] * 7 * 24 * 60
    for text in texts:
        where, time = text.split(" ")
        (start, end) = (int(part[:2]) * 60 + int(part[3:]) for part in time.split("-"))
        length = end - start if end > start else end - start + 24 * 60
        first, _, last = where.partition("-")
        day = 0 if where == "daily" else DAYS.index(first)
        count = 7 if where == "daily" else (DAYS.index(last or first) - day) % 7 + 1
        for number in range(count):
            for minute in range(length):
                table[((day + number) * 24 * 60 + start + minute) % len(table)] = True
    looked = []
    full = moment.replace(second=0)
    for at in (moment, *(full + MINUTE * number for number in range(1, MODEL_MINUTES))):
        wall = at.astimezone(zone)
        frozen = any(first <= wall.date() <= last for first, last in freezes)
        looked.append((at, table[wall.weekday() * 24 * 60 + wall.hour * 60 + wall.minute] and not frozen))
    return looked


@settings(max_examples=150)
@given(situations(), st.integers(0, 30))
def test_it_is_open_when_the_wall_clock_says_so(
    situation: tuple[ZoneInfo, datetime, list[str], list[tuple[date, date]]], hours: int
) -> None:
    zone, moment, texts, days_off = situation
    made, freezes = windows(*texts), [Freeze(*ends) for ends in days_off]
    looked = model(zone, moment, texts, days_off)
    end = looked[-1][0]

    closes = next((at for at, is_there in looked if not is_there), None)
    until = open_until(moment, made, freezes, zone)
    if not looked[0][1]:
        assert until is None
    elif closes:
        assert until == closes
    else:
        assert until
        assert until > end

    needed = HOUR * hours
    opening = next_opening(moment, made, freezes, zone, needed)
    wanted, opened = None, None
    for at, is_there in (*looked, (end + MINUTE, False)):
        if is_there:
            opened = opened or at
        elif opened and at - opened >= needed:
            wanted = wanted or opened
            opened = None
        elif opened and at <= end:
            opened = None
        if wanted:
            break
    if wanted:
        assert opening == wanted
    else:
        # The last one in the model may be longer than the model.
        assert opening is None or opening > end or opening == opened
    assert is_open(moment, made, freezes, zone) is looked[0][1]


@pytest.mark.parametrize(
    ("moment", "window", "until"),
    [
        # An ordinary night, across midnight, the last minute, and a second later.
        (berlin("2026-11-29T02:00"), "sun 02:00-05:00", berlin("2026-11-29T05:00")),
        (berlin("2026-11-29T01:59:59"), "sun 02:00-05:00", None),
        (berlin("2026-11-29T04:59:59"), "sun 02:00-05:00", berlin("2026-11-29T05:00")),
        (berlin("2026-11-29T05:00"), "sun 02:00-05:00", None),
        (berlin("2026-11-28T23:00"), "sat 22:00-04:00", berlin("2026-11-29T04:00")),
        (berlin("2026-11-29T03:59"), "sat 22:00-04:00", berlin("2026-11-29T04:00")),
        (berlin("2026-11-28T03:59"), "sat 22:00-04:00", None),
        # Spring: 02:00 to 03:00 doesn't exist.
        (berlin("2027-03-28T01:59"), "sun 01:00-04:00", datetime(2027, 3, 28, 2, tzinfo=UTC)),
        (datetime(2027, 3, 28, 1, tzinfo=UTC), "sun 02:00-03:00", None),
        (datetime(2027, 3, 28, 0, 59, tzinfo=UTC), "sun 02:00-03:00", None),
        # Autumn: 02:30 comes twice.
        (berlin("2027-10-31T02:30"), "sun 02:00-03:00", berlin("2027-10-31T03:00")),
        (berlin("2027-10-31T02:30", fold=1), "sun 02:00-03:00", berlin("2027-10-31T03:00")),
        (berlin("2027-10-31T01:00"), "sun 01:00-02:30", berlin("2027-10-31T02:30")),
        (berlin("2027-10-31T02:00", fold=1), "sun 01:00-02:30", berlin("2027-10-31T02:30", fold=1)),
    ],
)
def test_a_window_closes_as_the_wall_clock_says(moment: datetime, window: str, until: datetime | None) -> None:
    assert open_until(moment, windows(window), (), BERLIN) == until


def test_windows_that_follow_one_another_count_as_one() -> None:
    made = windows("sat 22:00-24:00", "sun 00:00-02:00", "sun 01:00-05:00")
    assert open_until(berlin("2026-11-28T22:00"), made, (), BERLIN) == berlin("2026-11-29T05:00")
    assert next_opening(berlin("2026-11-27T22:00"), made, (), BERLIN, HOUR * 7) == berlin("2026-11-28T22:00")
    # Only the night in which an hour is repeated is longer.
    longest = next_opening(berlin("2026-11-27T22:00"), made, (), BERLIN, HOUR * 8)
    assert longest == berlin("2027-10-30T22:00")
    assert next_opening(berlin("2026-11-27T22:00"), made, (), BERLIN, HOUR * 8 + MINUTE) is None


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (("daily 00:00-24:00",), True),
        (("daily 12:00-11:59", "daily 11:00-13:00"), True),
        (("mon-fri 00:00-24:00", "fri 22:00-21:00", "sat-sun 12:00-11:00"), False),
        (("mon-fri 00:00-24:00", "fri 22:00-21:00", "sat-sun 12:00-11:00", "sun 10:00-13:00"), True),
        (("daily 00:00-23:59",), False),
        (("mon-sat 00:00-24:00", "sun 00:00-23:59"), False),
        ((), False),
    ],
)
def test_windows_that_leave_no_minute_of_the_week_never_close(made: Sequence[str], wanted: bool) -> None:
    assert never_close(windows(*made)) is wanted
    monday = datetime(2026, 11, 30, tzinfo=UTC)
    always = all(is_open(monday + MINUTE * number, windows(*made), (), UTC) for number in range(7 * 24 * 60))
    assert not made or always is wanted


def test_a_freeze_that_begins_within_a_window_ends_it() -> None:
    made, freezes = windows("sat 22:00-04:00"), (parse_freeze("2026-11-29"),)
    assert open_until(berlin("2026-11-28T22:00"), made, freezes, BERLIN) == berlin("2026-11-29T00:00")
    assert next_opening(berlin("2026-11-29T01:00"), made, freezes, BERLIN) == berlin("2026-12-05T22:00")
    assert next_opening(berlin("2026-11-28T20:00"), made, freezes, BERLIN, HOUR * 3) == berlin("2026-12-05T22:00")


def test_without_windows_it_is_open_until_a_freeze_and_never_looks_too_far() -> None:
    moment = berlin("2026-11-28T12:00")
    assert open_until(moment, (), (), BERLIN) == moment + HORIZON
    assert next_opening(moment, (), (), BERLIN, HOUR) == moment
    assert open_until(moment, (), (parse_freeze("2027-01-01"),), BERLIN) == berlin("2027-01-01T00:00")
    assert next_opening(moment, (), (parse_freeze("2026-01-01/2100-01-01"),), BERLIN) is None


@pytest.mark.parametrize(
    ("text", "opens", "start", "end"),
    [
        ("sun 02:00-05:00", {6}, 120, 300),
        ("mon-fri 22:00-04:00", {0, 1, 2, 3, 4}, 1320, 1680),
        ("fri-mon 00:00-24:00", {4, 5, 6, 0}, 0, 1440),
        ("mon-mon 01:00-00:00", {0}, 60, 1440),
        ("daily 23:59-23:58", set(range(7)), 1439, 2878),
    ],
)
def test_a_window_is_read(text: str, opens: set[int], start: int, end: int) -> None:
    window = parse_window(text)
    assert (window.days, window.start, window.end, str(window)) == (opens, start, end, text)
    assert parse_window(window) is window


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("sunday 02:00-05:00", "unknown day 'sunday'; did you mean 'sun'?"),
        ("Sun 02:00-05:00", "unknown day 'Sun'; did you mean 'sun'?"),
        ("mon-friday 02:00-05:00", "unknown day 'friday'; did you mean 'fri'?"),
        ("dayly 02:00-05:00", "unknown day 'dayly'; did you mean 'daily'?"),
        ("zzz 02:00-05:00", f"unknown day 'zzz'; {DAY}"),
        ("mon,tue 02:00-05:00", f"has an unknown day; {DAY}"),
        ("mon-tue-wed 02:00-05:00", f"has an unknown day; {DAY}"),
        ("s\x1bn 02:00-05:00", f"has an unknown day; {DAY}"),
        ("sun 02:00-02:00", "starts and ends at the same time; write 00:00-24:00 for whole days"),
        ("sun 24:00-02:00", WINDOW),
        ("sun 2:00-5:00", WINDOW),
        ("sun 02:00-25:00", WINDOW),
        ("sun 02:00", WINDOW),
        ("02:00-05:00", WINDOW),
        ("sun 02:00-05:00\n", WINDOW),
        (7, WINDOW),
    ],
)
def test_another_value_is_no_window(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_window(value)


@pytest.mark.parametrize(
    ("value", "first", "last", "text"),
    [
        ("2026-11-27", date(2026, 11, 27), date(2026, 11, 27), "2026-11-27"),
        (date(2026, 11, 27), date(2026, 11, 27), date(2026, 11, 27), "2026-11-27"),
        ("2026-12-15/2027-01-06", date(2026, 12, 15), date(2027, 1, 6), "2026-12-15/2027-01-06"),
    ],
)
def test_a_freeze_is_read(value: object, first: date, last: date, text: str) -> None:
    freeze = parse_freeze(value)
    assert (freeze.first, freeze.last, str(freeze)) == (first, last, text)
    assert parse_freeze(freeze) is freeze


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2027-01-06/2026-12-15", "ends before it begins; write 2026-12-15/2027-01-06"),
        ("2026-11-31", FREEZE),
        ("20261127", FREEZE),
        ("2026-W48-5", FREEZE),
        ("2026-11-27/2026-11-28/2026-11-29", FREEZE),
        ("2026-11-27/", FREEZE),
        ("", FREEZE),
        (20261127, FREEZE),
        (datetime(2026, 11, 27, 12, tzinfo=UTC), FREEZE),
    ],
)
def test_another_value_is_no_freeze(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_freeze(value)
