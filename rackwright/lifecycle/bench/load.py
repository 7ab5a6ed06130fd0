"""What is sent: how many requests, how fast, how long, and of which words."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass

WORDS = tuple(
    "time year people way day man thing woman life child world school state family student group country problem "
    "hand part place case week company system program question work government number night point home water room "
    "mother area money story fact month lot right study book eye job word business issue side kind head house".split()
)
"""Frequent English words: most tokenizers have one token for each, with the space before it."""
PROBES = (16, 80)
"""Words of the two prompts that show how many tokens a word is."""
MOST_REQUESTS = 100_000
"""Each has a prompt of its own, and all of them are in memory."""


@dataclass(frozen=True)
class Load:
    rate: float
    """Requests a second, one after the other at even distances, however long answers take."""
    requests: int
    prompt_tokens: int
    """Of each prompt with what the model's template adds, nearly."""
    answer_tokens: int
    """Of each answer, exactly: engines are told to go on past an end."""

    def at(self, rate: float) -> Load:
        """Return as long a load at another rate, as far as that many requests can be."""
        requests = max(1, math.ceil(self.requests / self.rate * rate))
        return Load(rate, min(requests, MOST_REQUESTS), self.prompt_tokens, self.answer_tokens)


@dataclass(frozen=True)
class Probed:
    """How many tokens the engine counted for a prompt of so many words."""

    words: int
    tokens: int


def prompt(words: int) -> str:
    """Return a prompt of so many words that no other begins like: what an engine keeps of earlier prompts is no help.

    Of its own for each call: a prompt that comes again would be answered in no time.
    """
    return " ".join(secrets.choice(WORDS) for _ in range(words))


def words_for(tokens: int, short: Probed, long: Probed) -> int:
    """Given two prompts as the engine counted them, return how many words come to so many tokens, at least one."""
    each = (long.tokens - short.tokens) / (long.words - short.words)
    if each <= 0:
        return max(1, tokens)
    return max(1, round((tokens - short.tokens) / each) + short.words)
