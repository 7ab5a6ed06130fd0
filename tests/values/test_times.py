"""Recurring times, against a model that looks at every minute's clock, and against systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright.values.times import MONTHS, ORDINALS, PATTERN, Recurring, parse_recurring
from rackwright.values.windows import DAYS, Freeze, Opening, Window, is_open, openings, parse_freeze, parse_window
from tests.values.test_windows import BERLIN, HOUR, MINUTE, TURNS, ZONES, berlin, situations, windows
from tests.values.test_windows import days as window_days
from tests.values.test_windows import times as clocks

months = st.lists(st.sampled_from(MONTHS), min_size=1, max_size=3, unique=True).map(lambda found: ",".join(found))
recurring = st.one_of(
    st.tuples(window_days, clocks).map(" ".join),
    st.tuples(st.sampled_from(ORDINALS), st.sampled_from(DAYS), clocks).map(" ".join),
    st.builds("{} {} of {} {}".format, st.sampled_from(ORDINALS), st.sampled_from(DAYS), months, clocks),
)


def named_days(text: str, first: date, count: int) -> list[date]:
    """Return the days that the text names, found by counting through each month."""
    words = text.split(" ")[:-1]
    found = []
    for number in range(count):
        day = first + timedelta(number)
        if words[0] not in ORDINALS:
            start, _, end = words[0].partition("-")
            begin = 0 if words[0] == "daily" else DAYS.index(start)
            length = 7 if words[0] == "daily" else (DAYS.index(end or start) - begin) % 7 + 1
            found += [day] if (day.weekday() - begin) % 7 < length else []
            continue
        if len(words) > 2 and MONTHS[day.month - 1] not in words[3].split(","):
            continue
        alike = [day.replace(day=1) + timedelta(index) for index in range(31)]
        alike = [one for one in alike if one.month == day.month and DAYS[one.weekday()] == words[1]]
        found += [day] if day == alike[-1 if words[0] == "last" else ORDINALS.index(words[0])] else []
    return found


def first_shown(day: date, clock: str, zone: ZoneInfo) -> datetime:
    """Return the first minute at which a clock that never goes back shows the day and the time, or is past them."""
    wanted = datetime.fromisoformat(f"{day}T{clock}")
    at = wanted.replace(tzinfo=UTC) - HOUR * 40
    while at.astimezone(zone).replace(tzinfo=None) < wanted:
        at += MINUTE
    return at


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([name for name, _ in ZONES]), st.data(), recurring)
def test_it_happens_once_for_each_day_that_it_names(zone_name: str, data: st.DataObject, text: str) -> None:
    zone, turn = ZoneInfo(zone_name), data.draw(st.sampled_from(TURNS[zone_name]))
    since, until = turn - timedelta(days=40), turn + timedelta(days=40)
    asked = parse_recurring(text)
    assert re.fullmatch(PATTERN, text)
    assert str(asked) == text

    first = since.astimezone(zone).date() - timedelta(2)
    expected = [first_shown(day, text.split(" ")[-1], zone) for day in named_days(text, first, 86)]
    assert list(asked.between(since, until, zone)) == [one for one in expected if since <= one < until]


def test_a_skipped_time_happens_when_the_clock_is_set_and_a_repeated_one_once() -> None:
    daily = parse_recurring("daily 02:30")
    spring = list(daily.between(berlin("2027-03-27T00:00"), berlin("2027-03-30T00:00"), BERLIN))
    assert spring == [berlin("2027-03-27T02:30"), berlin("2027-03-28T03:00"), berlin("2027-03-29T02:30")]
    autumn = list(daily.between(berlin("2027-10-31T00:00"), berlin("2027-11-01T00:00"), BERLIN))
    assert autumn == [berlin("2027-10-31T02:30", fold=0)]


def test_the_start_of_the_range_is_part_of_it_and_its_end_is_not() -> None:
    sunday = berlin("2026-11-29T04:00")
    assert list(parse_recurring("sun 04:00").between(sunday, sunday + timedelta(7), BERLIN)) == [sunday]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("sun", "should be days and a time like 'sun 04:00'"),
        ("sun 04:00-05:00", "should be days and a time like"),
        (7, "should be days and a time like"),
        ("erst sun 04:00", "should start with days, or with one of first, second, third, fourth, last"),
        ("first mon-fri 04:00", "'first' needs one weekday, like 'first sun 04:00'"),
        ("first daily 04:00", "'first' needs one weekday"),
        ("sun of jan 04:00", "months need one weekday of the month, like 'first sun of jan 04:00'"),
        ("first sun of January 04:00", "unknown month 'January'; did you mean 'jan'?"),
        ("first sun of x 04:00", "unknown month 'x'; should be jan, feb"),
        ("first sun of 1 04:00", "has an unknown month; should be jan, feb"),
        ("first sun of jan,jan 04:00", "names a month twice"),
        ("sunn 04:00", "unknown day 'sunn'; did you mean 'sun'?"),
    ],
)
def test_other_texts_are_refused_with_what_they_should_be(value: object, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parse_recurring(value)
    # A pattern can't find a month that is named twice.
    assert "twice" in why or not re.fullmatch(PATTERN, str(value))


def test_what_is_parsed_already_stays() -> None:
    asked = parse_recurring("daily 04:00")
    assert parse_recurring(asked) is asked


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
@pytest.mark.parametrize(
    "text",
    [
        "sun 04:00",
        "daily 00:00",
        "mon-fri 23:59",
        "fri-mon 12:00",
        "first sun 04:00",
        "fourth wed of feb 05:00",
        "last fri 22:00",
        "first sun of jan,apr,jul,oct 04:00",
        "last thu of feb,mar 04:00",
    ],
)
def test_systemd_finds_the_same_times_on_ordinary_days(text: str) -> None:
    asked, base = parse_recurring(text), berlin("2026-11-01T06:30")
    ours = list(asked.between(base, base + timedelta(days=900), BERLIN))[:5]
    assert _elapses(asked.calendar("Europe/Berlin"), base, len(ours)) == ours


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_finds_the_same_starts_of_windows_on_ordinary_days() -> None:
    window, base = parse_window("sat-sun 22:00-04:00"), berlin("2026-11-01T06:30")
    ours = [one.start for one in openings(base, base + timedelta(days=20), [window], (), BERLIN)][:5]
    assert _elapses(window.calendar("Europe/Berlin"), base, len(ours)) == ours


def _elapses(calendar: str, base: datetime, count: int) -> list[datetime]:
    words = [f"--iterations={count}", f"--base-time={base:%Y-%m-%d %H:%M:%S} UTC", calendar]
    environment = {"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["systemd-analyze", "calendar", *words], capture_output=True, text=True, check=True, env=environment
    )
    found = re.findall(r"(?:Next elapse|Iteration #[0-9]+): \w+ (.*) UTC", done.stdout)
    return [datetime.fromisoformat(one).replace(tzinfo=UTC) for one in found]


@settings(max_examples=60, deadline=None)
@given(situations())
def test_openings_are_the_times_when_windows_are_open(
    situation: tuple[ZoneInfo, datetime, list[str], list[tuple[date, date]]],
) -> None:
    zone, moment, texts, days_off = situation
    made = windows(*texts, "sun 02:00-05:00")
    freezes = [parse_freeze(f"{first}/{last}") for first, last in days_off]
    end = moment + timedelta(days=3)
    found = list(openings(moment, end, made, freezes, zone))
    assert found == sorted(found, key=lambda one: one.start)
    at = moment.replace(second=0) + MINUTE
    always = any(_always(made, freezes, zone, day) for day in (moment, moment - timedelta(days=1)))
    while at < end and not always:
        assert any(one.start <= at < one.end for one in found) is is_open(at, made, freezes, zone), at
        at += MINUTE * 7


def _always(made: Sequence[Window], freezes: Sequence[Freeze], zone: ZoneInfo, moment: datetime) -> bool:
    hours = (moment + MINUTE * 10 * number for number in range(-9 * 144, 9 * 144))
    run = longest = 0
    for at in hours:
        run = run + 1 if is_open(at, made, freezes, zone) else 0
        longest = max(longest, run)
    return longest > 7 * 144


def test_windows_that_touch_open_once_and_a_freeze_cuts_them() -> None:
    made = windows("sat 22:00-24:00", "sun 00:00-02:00", "sun 01:00-05:00")
    since = berlin("2026-11-28T00:00")
    (one,) = openings(since, since + timedelta(days=2), made, (), BERLIN)
    assert one == Opening(berlin("2026-11-28T22:00"), berlin("2026-11-29T05:00"))
    (cut,) = openings(since, since + timedelta(days=2), made, (parse_freeze("2026-11-28"),), BERLIN)
    assert cut == Opening(berlin("2026-11-29T00:00"), berlin("2026-11-29T05:00"))


def test_an_opening_has_the_same_start_whenever_one_asks() -> None:
    made, end = windows("sun 02:00-05:00"), berlin("2026-11-29T05:00")
    for since in (berlin("2026-11-29T01:00"), berlin("2026-11-29T02:00"), berlin("2026-11-29T04:59:59")):
        assert list(openings(since, end, made, (), BERLIN)) == [Opening(berlin("2026-11-29T02:00"), end)]
    assert not list(openings(end, end + HOUR, made, (), BERLIN))
    assert not list(openings(berlin("2026-11-29T01:00"), berlin("2026-11-29T02:00"), made, (), BERLIN))


def test_windows_that_never_close_never_open() -> None:
    since = berlin("2026-11-29T05:00")
    assert not list(openings(since, since + timedelta(days=30), windows("daily 00:00-24:00"), (), BERLIN))


def test_a_recurring_time_is_a_value() -> None:
    assert parse_recurring("daily 04:00") == Recurring(frozenset(range(7)), 240, "daily 04:00")
