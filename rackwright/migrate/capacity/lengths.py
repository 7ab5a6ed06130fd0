"""How long recorded requests and their answers are, in tokens: as the provider counted them, else estimated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from rackwright.migrate.capacity.answer_lengths import AnswerLengths
from rackwright.migrate.recorded_request import MOST_TOKENS, RecordedRequest

CHARACTERS = 4
"""Of English text in a token, about."""
ANSWER = 256
"""Tokens of an answer whose length isn't known and isn't limited, of a model without an answer in a replay."""
Basis = Literal["counted", "mean", "limit", "assumed"]
"""What the length of an answer is based on: the provider's count, the mean of the model's answers in the replay (at
most the request's own limit), the request's limit, or nothing: ANSWER."""
_PROMPTS = ("messages", "input", "prompt", "tools")
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


@dataclass(frozen=True)
class Length:
    prompt: int
    answer: int
    counted: bool
    """Whether the provider counted both."""
    basis: Basis
    """Of the answer's length."""

    @property
    def whole(self) -> int:
        return self.prompt + self.answer


def length_of(request: RecordedRequest, answers: AnswerLengths) -> Length:
    """Return the length. `answers`: what replays say about answers that weren't counted when they were recorded."""
    tokens, basis = _answer(request, answers)
    counted = request.prompt_tokens is not None and basis == "counted"
    prompt = _estimate(request) if request.prompt_tokens is None else request.prompt_tokens
    return Length(prompt, tokens, counted, basis)


def _answer(request: RecordedRequest, answers: AnswerLengths) -> tuple[int, Basis]:
    known = answers.of.get(request.id, request.completion_tokens)
    if known is not None:
        return known, "counted"
    limit, usual = limit_of(request), answers.usual.get(request.model)
    if usual is not None:
        return min(usual, limit or usual), "mean"
    return (limit, "limit") if limit else (ANSWER, "assumed")


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
