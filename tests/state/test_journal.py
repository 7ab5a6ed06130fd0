from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rackwright.errors import RackwrightError
from rackwright.state.journal import (
    PROMOTE,
    Entry,
    Event,
    open_rollout,
    parse_journal,
    promoting,
    seconds_away,
)

BEGAN = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
ONE = "gpu1/assistant@1"


def entry(
    event: Event = Event.INTENT, after: int = 0, rollout: str = "r1", subject: str = ONE, phase: str = ""
) -> Entry:
    return Entry(
        time=BEGAN + timedelta(seconds=after),
        rollout=rollout,
        run=rollout,
        operator="anna",
        event=event,
        subject=subject,
        phase=phase,
    )


def test_lines_that_a_crash_tore_are_left_out() -> None:
    whole = entry()
    text = whole.line() + whole.line()[:30] + "\n17\n" + whole.line()
    assert parse_journal(text, "gate1") == (whole, whole)


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_a_line_that_holds_what_unicode_calls_an_end_is_one_line(end: str) -> None:
    closed = entry(Event.CLOSED).model_copy(update={"detail": f"unchanged: see ticket{end}4711"})
    read = parse_journal(entry(Event.OPENED).line() + closed.line(), "gate1")
    assert read[1] == closed
    assert open_rollout(read) is None


def test_a_line_of_a_newer_format_is_refused() -> None:
    with pytest.raises(RackwrightError, match="gate1: journal: was written by a newer rackwright"):
        parse_journal(entry().model_copy(update={"format": "journal/2"}).line(), "gate1")


def test_a_rollout_is_open_until_it_is_closed_itself() -> None:
    opened = entry(Event.OPENED, rollout="r2")
    assert open_rollout(()) is None
    assert open_rollout((entry(Event.CLOSED), opened, entry())) == opened
    assert open_rollout((opened, entry(Event.CLOSED, rollout="r1"))) == opened
    assert open_rollout((opened, entry(rollout="r2"), entry(Event.OUTCOME, rollout="r2"))) == opened
    assert open_rollout((opened, entry(Event.CLOSED, rollout="r2"))) is None


def test_one_that_is_being_promoted_is_known_by_its_own_line() -> None:
    lines = (entry(rollout="r1", subject="", phase=PROMOTE), entry(Event.OPENED, rollout="r2"))
    assert promoting(lines, "r1")
    assert not promoting(lines, "r2")


def test_a_replica_was_unavailable_from_its_act_until_it_was_undrained() -> None:
    other = entry(after=6, subject="gpu1/other@1", phase="gate")
    lines = [entry(phase="drain"), entry(after=5, phase="act"), other]
    lines += [entry(after=20, phase="prove"), entry(after=38, phase="undrain")]
    assert seconds_away(lines, "assistant") == 33
    assert seconds_away(lines, "other") is None


def test_a_canary_is_back_for_a_part_of_the_traffic() -> None:
    """Its trial may take hours: that isn't downtime."""
    lines = [entry(after=5, phase="act"), entry(after=38, phase="canary"), entry(after=3600, phase="canary")]
    assert seconds_away([*lines, entry(after=9000, phase="undrain")], "assistant") == 33


def test_an_act_that_was_cut_short_is_not_measured() -> None:
    """The run was killed after its act; the resumed run had nothing to do, and undrained the replica unchanged."""
    lines = [entry(phase="act"), entry(after=900, phase="drain"), entry(after=901, phase="undrain")]
    assert seconds_away(lines, "assistant") is None
