"""How large requests are, by their bodies alone."""

from __future__ import annotations

from typing import Any

import pytest

from rackwright.migrate.recorded_request import MOST_TOKENS, RecordedRequest
from rackwright.migrate.request_size import answer_limit, estimated_tokens


def request(path: str, **body: Any) -> RecordedRequest:
    return RecordedRequest(id="r", path=f"/v1/{path}", model="m", body=body, origin="jsonl")


def test_tokens_are_estimated_from_all_texts_but_no_image() -> None:
    image = {"url": {"placeholder": "<image-1>", "type": "image/png", "bytes": 9, "sha256": "0" * 64}}
    data = {"url": "data:image/png;base64," + "A" * 1000}
    parts = [{"text": "x" * 41}, {"image_url": image}, {"image_url": data}]
    body: Any = {"messages": [{"content": parts}], "tools": [{"a": "x" * 40}], "temperature": 0.5}
    assert estimated_tokens(body) == 21


def test_a_text_that_begins_like_an_image_is_a_text() -> None:
    assert estimated_tokens({"prompt": "data: " + "x" * 394}) == 100
    assert estimated_tokens({"prompt": "data:application/pdf;base64," + "A" * 1000}) == 0
    assert estimated_tokens({"prompt": "data:image/svg+xml,%3Csvg"}) == 0


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 2.5}, 3),
        ({"max_completion_tokens": 7, "max_tokens": 5}, 7),
        ({"max_completion_tokens": 5, "max_tokens": 7}, 7),
        # Chat completions have no such field, so nothing applies it.
        ({"max_output_tokens": 9}, None),
        ({"max_tokens": True}, None),
        ({"max_tokens": -1}, None),
        ({"max_tokens": 10**25}, MOST_TOKENS),
        ({"max_tokens": "x"}, None),
    ],
)
def test_the_longest_answer_is_what_a_chat_says(body: dict[str, Any], tokens: int | None) -> None:
    assert answer_limit(request("chat/completions", **body)) == tokens


def test_the_longest_answer_of_a_response_has_its_own_field() -> None:
    assert answer_limit(request("responses", max_output_tokens=9, max_tokens=5)) == 9
