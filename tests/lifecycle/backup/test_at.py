from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rackwright.errors import UsageError
from rackwright.lifecycle.backup.at import NEWEST, At, wanted_at

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
ID = "8c1f22d0"


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("2026-11-25T02:31Z", "2026-11-25T02:31:00+00:00"),
        ("2026-11-25 02:31", "2026-11-25T01:31:00+00:00"),
        ("2026-11-25T02:31:05+05:00", "2026-11-24T21:31:05+00:00"),
        ("2026-11-25", "2026-11-25T22:59:59.999999+00:00"),
        ("12h", "2026-11-29T00:00:00+00:00"),
    ],
)
def test_a_time_is_in_the_fleets_zone_and_a_day_means_its_end(text: str, until: str) -> None:
    assert wanted_at(text, "Europe/Berlin", NOW) == At(text, datetime.fromisoformat(until))


def test_eight_hexadecimal_digits_or_more_are_an_id() -> None:
    assert wanted_at(ID, "UTC", NOW) == At(ID, id=ID)
    assert wanted_at("20261125", "UTC", NOW).id == "20261125"
    assert wanted_at(None, "UTC", NOW) == NEWEST


@pytest.mark.parametrize(
    "text", ["", "latest", "8c1f22d", "yesterday", "2026-13-01", "99999999h", "0001-01-01T00:00"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"isn't a time or a snapshot's ID; should be like 2026-11-25"):
        wanted_at(text, "Asia/Tokyo", NOW)
