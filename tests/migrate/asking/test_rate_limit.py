"""Until when a provider takes no more requests."""

from __future__ import annotations

import pytest

from rackwright.migrate.asking.rate_limit import LONGEST, until_reset


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("20ms", 0.02),
        ("6m0s", 360.0),
        ("1.5s", 1.5),
        ("1h2m3.5s", LONGEST),
        ("8.64s", 8.64),
        ("", None),
        ("soon", None),
        ("-1s", None),
        ("s", None),
        ("9" * 400 + "s", None),
    ],
)
def test_when_no_request_is_left(text: str, seconds: float | None) -> None:
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": text}
    assert until_reset(headers) == seconds


def test_when_some_are_left() -> None:
    assert until_reset({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "1s"}) is None
    assert until_reset({"x-ratelimit-reset-requests": "1s"}) is None
