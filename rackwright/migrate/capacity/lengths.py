"""How long recorded requests are, in tokens: as the provider counted them, else estimated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from rackwright.migrate.recorded_request import MOST_TOKENS, RecordedRequest

CHARACTERS = 4
"""Of English text in a token, about."""
ANSWER = 256
"""Tokens of an answer whose length isn't known and isn't limited."""
_PROMPTS = ("messages", "input", "prompt", "tools")
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


@dataclass(frozen=True)
class Length:
    prompt: int
    answer: int
    counted: bool
    """Whether the provider counted both."""

    @property
    def whole(self) -> int:
        return self.prompt + self.answer


def length_of(request: RecordedRequest, answer: int | None = None) -> Length:
    """Return the length. `answer`: the tokens of the answer, if the provider counted them in a replay."""
    known = request.completion_tokens if answer is None else answer
    counted = request.prompt_tokens is not None and known is not None
    prompt = _estimate(request) if request.prompt_tokens is None else request.prompt_tokens
    return Length(prompt, (limit_of(request) or ANSWER) if known is None else known, counted)


def limit_of(request: RecordedRequest) -> int | None:
    """Return the most tokens of an answer that the client asked for; None: it set no limit."""
    for name in _LIMITS:
        value = request.body.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return min(value, MOST_TOKENS)
    return None


def _estimate(request: RecordedRequest) -> int:
    return sum(sum(map(len, _texts(request.body.get(name)))) for name in _PROMPTS) // CHARACTERS + 1


def _texts(value: JsonValue) -> Iterator[str]:
    """Yield all text, without pictures, which are data in base64."""
    if isinstance(value, str):
        yield "" if value.startswith("data:") else value
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
