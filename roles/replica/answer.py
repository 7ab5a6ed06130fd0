"""The golden answer: an engine's answer to a fixed prompt if it always takes the likeliest token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rackwright.values.base import Stored

PROMPT = "Three colors of the rainbow are red,"
"""The engine continues this text. A question wouldn't do: some chat templates put today's date before it, and then
the answer changes."""
PROMPT_VERSION = 1
"""Increased when the prompt or anything else in `body` changes: only answers to the same request are compared."""
TOKENS = 16
CANDIDATES = 5
"""Number of likeliest tokens that the engine returns for each position."""
NEAR_TIE = 0.3
"""Nats. Rounding of sums depends on the kernel, which depends on the batch and the GPU, so no engine is certain to
return the same logits twice. bfloat16 keeps eight bits: a logit between 16 and 32 is rounded to steps of 0.125. If
two of them are off by one step each, their distance changes by 0.25. Tokens that are closer together than that may
swap places."""

MOST_BYTES = 4 * 2**20
"""An engine may send anything without an end. No answer of one is read beyond this: curl ends with an error."""


class By(StrEnum):
    TOKENS = "tokens"
    WORDS = "words"
    """The engine returns no tokens, so the words of the text are used instead."""


class Token(Stored):
    text: str
    candidates: Mapping[str, float] = {}
    """The likeliest tokens at its position, including itself → natural logarithm of their probability."""


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
    """Whether all tokens are the same, or all up to a near tie."""
    said: str | None = None
    """How the answers differ; None: they don't."""


def body(served_name: str, *, tokens: bool = True) -> str:
    """Return the request, JSON for /v1/completions of vLLM and llama-server; `tokens`: with their probabilities."""
    request = {
        "model": served_name,
        "prompt": PROMPT,
        "max_tokens": TOKENS,
        "temperature": 0,
        "seed": 0,
        # Some models would end the answer after the sentence.
        "ignore_eos": True,
        # llama-server: the cache of an earlier prompt was computed in different batches.
        "cache_prompt": False,
    }
    return json.dumps(request | {"logprobs": CANDIDATES} if tokens else request)


def parse_answer(output: str) -> Answer | None:
    """Given the engine's output, return its answer, or None if there is none."""
    try:
        choice = json.loads(output)["choices"][0]
        text = choice["text"] if "text" in choice else choice["message"]["content"]
        tokens = tuple(_tokens(choice.get("logprobs") or {}))
        if not isinstance(text, str) or not text.strip():
            return None
        if tokens:
            return Answer(text=text, by=By.TOKENS, tokens=tokens)
        return Answer(text=text, by=By.WORDS, tokens=tuple(Token(text=word) for word in text.split()))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _tokens(logprobs: Any) -> list[Token]:
    """Parse llama-server's form (`content`, as in chat completions) or vLLM's (`tokens`, `top_logprobs`)."""
    if "content" in logprobs:
        return [
            Token(
                text=one["token"],
                candidates=_likeliest((top["token"], top["logprob"]) for top in one["top_logprobs"]),
            )
            for one in logprobs["content"] or ()
        ]
    places = zip(logprobs.get("tokens") or (), logprobs.get("top_logprobs") or (), strict=True)
    return [Token(text=text, candidates=_likeliest((top or {}).items())) for text, top in places]


def _likeliest(candidates: Any) -> dict[str, float]:
    """Return the highest probability for each text: several tokens may have the same one, like halves of a letter."""
    found: dict[str, float] = {}
    for text, logprob in candidates:
        if logprob is not None:
            found[text] = max(logprob, found.get(text, logprob))
    return found


def compare(recorded: Answer, found: Answer) -> Compared:
    """Return whether the answer is the recorded one: the same tokens, at least up to a near tie."""
    if recorded.by is not found.by:
        same = recorded.text.split() == found.text.split()
        return Compared(same, None if same else "they differ, and one of them was returned without its tokens")
    places = zip(recorded.tokens, found.tokens, strict=False)
    at = next((place for place, (one, other) in enumerate(places) if one.text != other.text), None)
    if at is None:
        same = len(recorded.tokens) == len(found.tokens)
        return Compared(same, None if same else f"{len(recorded.tokens)} {found.by} before, {len(found.tokens)} now")
    return _differing(at, recorded.tokens[at].text, found.tokens[at], found.by)


def _differing(at: int, before: str, now: Token, by: By) -> Compared:
    where = f"differs from {by.removesuffix('s')} {at + 1} on"
    if before not in now.candidates or now.text not in now.candidates:
        return Compared(False, f"{where}: {now.text!r}, but {before!r} is not among the likeliest")
    apart = now.candidates[now.text] - now.candidates[before]
    # If the chosen token is the less likely one, a sampler changed the choice, and the answer wasn't greedy.
    tie = abs(apart) <= NEAR_TIE
    words = f"a near tie ({apart:.2f} nats)" if tie else f"{now.text!r} is {apart:.2f} nats likelier than {before!r}"
    return Compared(tie, f"{where}: {words}")
