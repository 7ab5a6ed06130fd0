"""The golden set: prompts of the operator's own, each with the check that a good answer passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints, model_validator

from rackwright.fleet.golden.json_schema import Expression, Json, Schema
from rackwright.values.base import Frozen
from rackwright.values.text import Line

LEAST = 20
"""Prompts of a set, and of those that ask for a format: fewer tell too little of those that weren't asked."""
Text = Annotated[str, StringConstraints(min_length=1)]


class Function(Frozen):
    name: Line
    description: str | None = None
    parameters: Schema | None = None
    """JSON Schema of its arguments."""
    strict: bool | None = None


class Tool(Frozen):
    type: Literal["function"]
    function: Function


class Message(Frozen):
    """As OpenAI's chat completions have it."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | tuple[Json, ...] | None = None
    """Text, or parts like {"type": "text", "text": …}."""
    name: Line | None = None
    tool_calls: tuple[Json, ...] | None = None
    """Of an assistant's message: what it called earlier."""
    tool_call_id: Line | None = None
    """Of a tool's message: the call that it answers."""


class WantedCall(Frozen):
    name: Line
    """Of one of the prompt's tools."""
    arguments: Json | None = None
    """All of them, as they must be; absent: any that the tool allows."""


class Check(Frozen):
    """What a good answer passes: exactly one of these."""

    model_config = {"json_schema_extra": {"minProperties": 1, "maxProperties": 1}}

    exact: Text | None = None
    """The whole answer; space around it doesn't count."""
    contains: Text | None = None
    """Stands somewhere in the answer, in these letters."""
    regex: Expression | None = None
    """Matches somewhere in the answer; `^` and `$` tie it to its ends."""
    json_schema: Schema | None = None
    """The whole answer is JSON that this schema allows (Draft 2020-12, or 2019-09 or 7 by its $schema)."""
    tool_call: WantedCall | None = None
    """The answer is this one call and no other."""

    @model_validator(mode="after")
    def _is_one(self) -> Check:
        if len(self.model_fields_set) != 1 or getattr(self, self.kind) is None:
            raise ValueError(f"should have exactly one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def kind(self) -> str:
        """The name of the one that is set."""
        return next(iter(self.model_fields_set), "exact")

    @property
    def has_format(self) -> bool:
        """Whether it tells if an answer's format is valid."""
        return self.kind in ("json_schema", "tool_call")


class Prompt(Frozen):
    """One line of the file."""

    id: Line
    """Names it in reports; of its own in the file."""
    messages: Annotated[tuple[Message, ...], Field(min_length=1)]
    tools: tuple[Tool, ...] = ()
    max_tokens: Annotated[int, Field(ge=1, le=16_384)] = 512
    """Where its answer ends, on both sides."""
    check: Check

    @model_validator(mode="after")
    def _can_be_answered(self) -> Prompt:
        if self.messages[-1].role not in ("user", "tool"):
            raise ValueError("ends with a message that asks for nothing; the last one should be a user's or a tool's")
        wanted, names = self.check.tool_call, [tool.function.name for tool in self.tools]
        if wanted and wanted.name not in names:
            raise ValueError(f"its check wants a call of {wanted.name}; tools should have it")
        return self

    @property
    def request(self) -> dict[str, JsonValue]:
        """What a chat completion's body has of it: messages, and tools if there are any, as they were written."""
        asked = self.model_dump(mode="json", include={"messages", "tools"}, exclude_unset=True)
        return {**asked, "max_tokens": self.max_tokens}


@dataclass(frozen=True)
class GoldenSet:
    prompts: tuple[Prompt, ...]
    digest: str
    """sha256 of the file."""
