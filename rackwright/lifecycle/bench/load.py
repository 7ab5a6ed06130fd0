"""The load to send: number of requests, rate, length, and the words of prompts."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass

WORDS = tuple(
    "time year people way day man thing woman life child world school state family student group country problem "
    "hand part place case week company system program question work government number night point home water room "
    "mother area money story fact month lot right study book eye job word business issue side kind head house".split()
)
"""Frequent English words: in most tokenizers each is one token, with the space before it."""
PROBES = (16, 80)
"""Words in the two prompts that show how many tokens a word has."""
MOST_REQUESTS = 100_000
"""A limit, because each request has its own prompt and all prompts are in memory."""


@dataclass(frozen=True)
class Load:
    rate: float
    """Requests per second, sent at even intervals, however long answers take."""
    requests: int
    prompt_tokens: int
    """Approximate tokens of each prompt, including those that the model's template adds."""
    answer_tokens: int
    """Exact tokens of each answer: requests ask engines to ignore the end of the answer."""

    def at(self, rate: float) -> Load:
        """Return a load of the same duration at another rate, limited to MOST_REQUESTS."""
        requests = max(1, math.ceil(self.requests / self.rate * rate))
        return Load(rate, min(requests, MOST_REQUESTS), self.prompt_tokens, self.answer_tokens)


@dataclass(frozen=True)
class Probed:
    """How many tokens the engine counted for a prompt with this number of words."""

    words: int
    tokens: int


def prompt(words: int) -> str:
    """Return a random prompt of this many words.

    No two prompts start alike, so that the engine's cache of earlier prompts doesn't shorten the work.
    """
    return " ".join(secrets.choice(WORDS) for _ in range(words))


def words_for(tokens: int, short: Probed, long: Probed) -> int:
    """Given two prompts as the engine counted them, return how many words make this many tokens; at least one."""
    each = (long.tokens - short.tokens) / (long.words - short.words)
    if each <= 0:
        return max(1, tokens)
    return max(1, round((tokens - short.tokens) / each) + short.words)
