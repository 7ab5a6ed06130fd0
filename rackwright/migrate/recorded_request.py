"""A request that a client made, as a migration keeps it: redacted, and without its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, JsonValue

from rackwright.values.base import Stored

Origin = Literal["capture", "jsonl", "openai", "litellm", "har"]
"""Recorded by the gateways, or imported: JSON lines, OpenAI's stored completions, LiteLLM's log, an HTTP archive."""


LAST_SECOND = 4_102_444_800.0
"""The year 2100; a time after it isn't one in seconds."""
MOST_TOKENS = 1_000_000_000
Number = TypeVar("Number", float, int)


def _within(value: Number | None, most: float) -> Number | None:
    """Return None for a figure that can't be: one line of a log must not make all others useless."""
    return value if value is not None and 0 <= value < most else None


Tokens = Annotated[int | None, AfterValidator(lambda value: _within(value, MOST_TOKENS))]


class RecordedRequest(Stored):
    """One request. Its text has placeholders like <email-1> where it had personal data."""

    format: Literal["recorded-request/1"] = "recorded-request/1"
    id: str
    """Unique within a migration."""
    arrived: Annotated[float | None, AfterValidator(lambda value: _within(value, LAST_SECOND))] = None
    """Unix seconds; None: the log that it was imported from doesn't say, or says what can't be."""
    path: str
    """Like /v1/chat/completions."""
    model: str
    """The name that the client asked for."""
    body: Mapping[str, JsonValue]
    """What the client sent, redacted."""
    key: str | None = None
    """Id of the client's API key; None: not known."""
    origin: Origin
    personal: Mapping[str, int] = {}
    """Kind of personal data, like "email" → how many were replaced."""
    prompt_tokens: Tokens = None
    """As the provider counted them, if the log says it."""
    completion_tokens: Tokens = None
