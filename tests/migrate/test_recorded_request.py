"""Figures of a recorded request that can't be."""

from __future__ import annotations

import pytest

from rackwright.migrate.recorded_request import RecordedRequest

LINE = '{"id": "a", "path": "/v1/chat/completions", "model": "m", "body": {}, "origin": "capture"%s}'


@pytest.mark.parametrize("time", ["-1", "1e300", "1e999", "253402300800"])
def test_a_time_that_cannot_be_is_none(time: str) -> None:
    """With it, one line of a gateway would make every command fail that counts days."""
    assert RecordedRequest.model_validate_json(LINE % f', "arrived": {time}').arrived is None


@pytest.mark.parametrize("tokens", ["-1", "1" + "0" * 30])
def test_a_count_that_cannot_be_is_none(tokens: str) -> None:
    found = RecordedRequest.model_validate_json(LINE % f', "prompt_tokens": {tokens}, "completion_tokens": 7')
    assert (found.prompt_tokens, found.completion_tokens) == (None, 7)
