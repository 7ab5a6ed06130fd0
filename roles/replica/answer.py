"""The golden answer: what an engine says to a fixed prompt when it always takes the likeliest token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rackwright.values.base import Stored

PROMPT = "Three colors of the rainbow are red,"
"""Continued as it stands: some chat templates put today's date before a question, and the answer changes with it."""
PROMPT_VERSION = 1
"""Raised when the prompt or anything else of `body` changes: answers are compared with those to the same request."""
TOKENS = 16
CANDIDATES = 5
"""Likeliest tokens that the engine tells at each place."""
NEAR_TIE = 0.3
"""Nats. How sums are rounded depends on the kernel, and that on the batch and the GPU, so no engine gives the same
logits twice for sure. bfloat16 keeps eight bits: a logit between 16 and 32 is rounded to steps of 0.125, and two of
them, a step off each, come 0.25 closer or further apart. Tokens that are nearer to one another may change places."""


class By(StrEnum):
    TOKENS = "tokens"
    WORDS = "words"
    """The engine tells no tokens: the text's words stand for them."""


class Token(Stored):
    text: str
    candidates: Mapping[str, float] = {}
    """The likeliest at its place, it among them → natural logarithm of their probability."""


class Answer(Stored):
    text: str
    by: By
    tokens: tuple[Token, ...]

    @property
    def short(self) -> str:
        return repr(" ".join(self.text.split())[:60])


@dataclass(frozen=True)
class Compared:
    same: bool
    """By tokens, or up to a near tie."""
    said: str | None = None
    """How they differ; None: they don't."""


def body(served_name: str, *, tokens: bool = True) -> str:
    """Return the request, JSON for /v1/completions of vLLM and llama-server; `tokens`: each with its chance."""
    request = {
        "model": served_name,
        "prompt": PROMPT,
        "max_tokens": TOKENS,
        "temperature": 0,
        "seed": 0,
        # Some models have nothing to add to a sentence, and end.
        "ignore_eos": True,
        # llama-server: what it kept of an earlier prompt was computed in other batches.
        "cache_prompt": False,
    }
    return json.dumps(request | {"logprobs": CANDIDATES} if tokens else request)


def parse_answer(output: str) -> Answer | None:
    """Given what the engine printed, return its answer, or None: there is none."""
    try:
        choice = json.loads(output)["choices"][0]
        text = choice["text"] if "text" in choice else choice["message"]["content"]
        tokens = tuple(_tokens(choice.get("logprobs") or {}))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    if not isinstance(text, str) or not text.strip():
        return None
    if tokens:
        return Answer(text=text, by=By.TOKENS, tokens=tokens)
    return Answer(text=text, by=By.WORDS, tokens=tuple(Token(text=word) for word in text.split()))


def _tokens(reply: Any) -> list[Token]:
    """Of llama-server's form (`content`, as chat completions have it) or vLLM's (`tokens`, `top_logprobs`)."""
    if "content" in reply:
        return [
            Token(
                text=one["token"],
                candidates=_likeliest((top["token"], top["logprob"]) for top in one["top_logprobs"]),
            )
            for one in reply["content"] or ()
        ]
    places = zip(reply.get("tokens") or (), reply.get("top_logprobs") or (), strict=True)
    return [Token(text=text, candidates=_likeliest((top or {}).items())) for text, top in places]


def _likeliest(candidates: Any) -> dict[str, float]:
    """Different tokens may have one text: halves of a letter."""
    found: dict[str, float] = {}
    for text, logprob in candidates:
        if logprob is not None:
            found[text] = max(logprob, found.get(text, logprob))
    return found


def compare(recorded: Answer, found: Answer) -> Compared:
    """Return whether what was found is what was recorded: the same tokens, up to where two were as good."""
    if recorded.by is not found.by:
        same = recorded.text.split() == found.text.split()
        return Compared(same, None if same else "they differ, and one of them was told without its tokens")
    places = zip(recorded.tokens, found.tokens, strict=False)
    at = next((place for place, (one, other) in enumerate(places) if one.text != other.text), None)
    if at is None:
        same = len(recorded.tokens) == len(found.tokens)
        return Compared(same, None if same else f"{len(recorded.tokens)} {found.by} before, {len(found.tokens)} now")
    return _differing(at, recorded.tokens[at].text, found.tokens[at], found.by)


def _differing(at: int, before: str, now: Token, by: By) -> Compared:
    where = f"differs from {by.removesuffix('s')} {at + 1} on"
    if before not in now.candidates or now.text not in now.candidates:
        return Compared(False, f"{where}: {now.text!r}, and {before!r} is not among the likeliest")
    apart = now.candidates[now.text] - now.candidates[before]
    # What a sampler added can make the token that was taken the less likely one: then it wasn't greedy.
    tie = abs(apart) <= NEAR_TIE
    words = f"a near tie ({apart:.2f} nats)" if tie else f"{now.text!r} is {apart:.2f} nats likelier than {before!r}"
    return Compared(tie, f"{where}: {words}")
