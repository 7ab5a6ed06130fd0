from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rackwright.migrate.replaying.retry_after import retry_after

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "7", "retry-after-ms": "soon"}, 7),
        ({"retry-after": "Tue, 01 Dec 2026 12:01:00 GMT"}, 60),
        ({"retry-after": "Tue, 01 Dec 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "999999999"}, 86_400),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "Tue, 99 Dec 99999 12:01:00 GMT"}, None),
        ({"retry-after": "x" * 10_000}, None),
    ],
)
def test_what_it_says(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds
