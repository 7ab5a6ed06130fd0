"""How long recorded requests and their answers are, in tokens: as the provider counted them, else estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rackwright.migrate.capacity.answer_lengths import AnswerLengths
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.request_size import answer_limit, prompt_tokens

ANSWER = 256
"""Tokens of an answer whose length isn't known and isn't limited, of a model without an answer in a replay."""
Basis = Literal["counted", "mean", "limit", "assumed"]
"""What the length of an answer is based on: the provider's count, the mean of the model's answers in the replay (at
most the request's own limit), the request's limit, or nothing: ANSWER."""


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
    return Length(prompt_tokens(request), tokens, counted, basis)


def _answer(request: RecordedRequest, answers: AnswerLengths) -> tuple[int, Basis]:
    known = answers.of.get(request.id, request.completion_tokens)
    if known is not None:
        return known, "counted"
    limit, usual = answer_limit(request), answers.usual.get(request.model)
    if usual is not None:
        return min(usual, limit or usual), "mean"
    return (limit, "limit") if limit else (ANSWER, "assumed")
