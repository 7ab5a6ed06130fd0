from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rackwright.errors import UsageError
from rackwright.lifecycle.audit import Wanted, since
from rackwright.state.audit import Act

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ACT = Act(
    time=NOW, operator="root@vm (anna, SHA256:abc)", run="20261125T1200Z-1", command="apply", what="", outcome=""
)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(), True),
        (Wanted(since=NOW), True),
        (Wanted(since=NOW.replace(hour=13)), False),
        (Wanted(who="Anna"), True),
        (Wanted(who="SHA256:abc"), True),
        (Wanted(who="root@vm"), True),
        (Wanted(who="ben"), False),
        (Wanted(run="20261125T1200Z-1"), True),
        (Wanted(run="2026"), True),
        (Wanted(run="1200Z"), False),
        (Wanted(who="anna", run="r2"), False),
    ],
)
def test_an_act_is_shown_if_it_fits_every_word(wanted, fits):
    assert wanted.fits(ACT) is fits


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW.replace(hour=10)),
        ("1d", NOW.replace(day=24)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T08:30", datetime(2026, 11, 24, 8, 30, tzinfo=UTC)),
        ("2026-11-24T08:30+02:00", datetime(2026, 11, 24, 6, 30, tzinfo=UTC)),
        ("2026-11-24T08:30:00Z", datetime(2026, 11, 24, 8, 30, tzinfo=UTC)),
        (None, None),
    ],
)
def test_since_when(text, moment):
    assert since(text, NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "5", "", "999999999d"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UsageError, match=r"--since .*: isn't a time"):
        since(text, NOW)
