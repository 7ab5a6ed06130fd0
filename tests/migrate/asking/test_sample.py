"""The sample: even over models and days, the same each time, and without memory of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from rackwright.migrate.asking.sample import Sample, draw
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.redact import Redactor
from tests.lifecycle.migrate.ends import request

MODELS = ("gpt-4o-mini", "gpt-4o")


def drawn(requests: list[RecordedRequest], size: int, answered: tuple[str, ...] = ()) -> Sample:
    named = (("requests-000001.jsonl.age", one) for one in requests)
    return draw(named, MODELS, size, answered, "leave", lambda _: (1.0, 2.0))


@pytest.mark.parametrize(
    "body",
    [
        {"web_search_options": {}},
        {"tools": [{"type": "web_search"}]},
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy"}},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
    ],
)
def test_what_no_price_per_token_covers_is_left_out(body: dict[str, Any]) -> None:
    sample = drawn([request(1), request(2, **body)], 10)
    assert [one.id for one in sample.drawn] == ["r1"]
    assert sample.left_out == {"charged for more than tokens: a search, a sound or a file": 1}


def uneven() -> list[RecordedRequest]:
    """900 requests to one model on day 0; 20 to the other on each of days 0 to 4."""
    others = [request(1000 + number, model="gpt-4o", day=number // 20) for number in range(100)]
    return [*(request(number) for number in range(900)), *others]


def test_even_over_models_and_days() -> None:
    sample = drawn(uneven(), 60)
    by_id = {one.id: one for one in uneven()}
    counts = Counter((by_id[one.id].model, by_id[one.id].arrived) for one in sample.drawn)
    assert set(counts.values()) == {10}
    assert sample.recorded == 1000
    # After any number of them, too.
    first = Counter((by_id[one.id].model, by_id[one.id].arrived) for one in sample.drawn[:12])
    assert set(first.values()) == {2}


def test_groups_that_are_too_small_leave_their_share_to_others() -> None:
    sample = drawn(uneven(), 300)
    assert len({one.id for one in sample.drawn}) == 300
    assert sum(int(one.id[1:]) < 900 for one in sample.drawn) == 200


def test_the_same_each_time_whatever_the_order() -> None:
    assert drawn(uneven(), 50).drawn == drawn(uneven()[::-1], 50).drawn
    assert drawn(uneven()[::2] + uneven()[1::2], 50).drawn == drawn(uneven(), 50).drawn


def test_what_is_paid_for_is_drawn_first() -> None:
    before = [one.id for one in drawn(uneven(), 50).drawn]
    newer = [request(5000 + number) for number in range(900)]
    after = {one.id for one in drawn([*uneven(), *newer], 50, tuple(before)).drawn}
    assert set(before) == after


def test_each_id_once() -> None:
    sample = drawn([request(1), request(1), request(2)], 10)
    assert sorted(one.id for one in sample.drawn) == ["r1", "r2"]


def test_requests_without_a_time() -> None:
    sample = drawn([request(1).model_copy(update={"arrived": None}), request(2)], 10)
    assert len(sample.drawn) == 2


def test_reasons_to_leave_out_are_few() -> None:
    def strangers() -> Iterator[RecordedRequest]:
        for number in range(200):
            yield request(number, model=f"m{number}")

    sample = drawn(list(strangers()), 10)
    assert sum(sample.left_out.values()) == 200
    assert len(sample.left_out) == 51
    assert sample.left_out["other models"] == 150


def test_requests_whose_images_were_not_recorded_are_left_out() -> None:
    """As `redact` leaves them: neither end would accept the description of an image."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * 200}}
    asked = request(1, messages=[{"role": "user", "content": [image]}])
    assert drawn([asked], 10).recorded == 1
    redacted = Redactor().body(asked.body)
    sample = drawn([asked.model_copy(update={"body": redacted}), request(2)], 10)
    assert sample.left_out == {"images, sounds and files aren't recorded": 1}
    assert sample.recorded == 1
