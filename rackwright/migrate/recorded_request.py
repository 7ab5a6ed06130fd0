"""A request that a client made, as a migration keeps it: without personal data, and without its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue

from rackwright.values.base import Stored

FORMAT = "recorded-request/1"
Origin = Literal["capture", "jsonl", "openai", "litellm", "har"]
"""Recorded by the gateways, or imported: JSON lines, OpenAI's stored completions, LiteLLM's log, an HTTP archive."""


class RecordedRequest(Stored):
    """One request. Its text has placeholders like <email-1> where it had personal data."""

    format: Literal["recorded-request/1"] = "recorded-request/1"
    id: str
    """Unique within a migration."""
    arrived: float | None = None
    """Unix seconds; None: the log that it was imported from doesn't say."""
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
    prompt_tokens: int | None = None
    """As the provider counted them, if the log says it."""
    completion_tokens: int | None = None
