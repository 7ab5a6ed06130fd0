"""What one end answered to a recorded request that was replayed."""

from __future__ import annotations

from typing import Literal

from rackwright.values.base import Stored

Asked = Literal["cloud", "again", "fleet"]
"""Who was asked: the cloud, the cloud a second time (the noise floor), the fleet."""


class ReplayedCall(Stored):
    """A tool call in an answer. It is never executed."""

    name: str
    arguments: str
    """JSON, or the text that the model wrote instead."""


class ReplayedAnswer(Stored):
    format: Literal["replayed-answer/1"] = "replayed-answer/1"
    request: str
    """The id of the recorded request."""
    asked: Asked
    status: int
    """HTTP status; 0: there was no answer."""
    by: str = ""
    """Who was asked, and how (`Way.by`); "": not known."""
    version: str = ""
    """Of the fleet's model, by the lock; "": not known, or the cloud answered."""
    error: str = ""
    """Why there is no usable answer, in a few words; "": there is one."""
    text: str = ""
    refusal: str = ""
    """What the provider's own field `refusal` said."""
    calls: tuple[ReplayedCall, ...] = ()
    finish: str = ""
    """finish_reason, like "stop" or "length"."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0
    """From the request to the end of its answer."""
