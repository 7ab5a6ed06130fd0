"""The golden set: the operator's own prompts, each with a check that a good answer passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints, model_validator

from rackwright.fleet.golden.json_schema import Expression, Json, Schema
from rackwright.values.base import Frozen
from rackwright.values.text import Line

LEAST = 20
"""The fewest prompts of a set, and of those with a format check: fewer say too little about other prompts."""
Text = Annotated[str, StringConstraints(min_length=1)]


class Function(Frozen):
    name: Line
    description: str | None = None
    parameters: Schema | None = None
    """The JSON Schema of its arguments."""
    strict: bool | None = None


class Tool(Frozen):
    type: Literal["function"]
    function: Function


class Message(Frozen):
    """A message as in OpenAI's chat completions."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | tuple[Json, ...] | None = None
    """Text, or parts like {"type": "text", "text": …}."""
    name: Line | None = None
    tool_calls: tuple[Json, ...] | None = None
    """For an assistant's message: its earlier tool calls."""
    tool_call_id: Line | None = None
    """For a tool's message: the id of the call that it answers."""


class WantedCall(Frozen):
    name: Line
    """The name of one of the prompt's tools."""
    arguments: Json | None = None
    """All arguments with their exact values; if absent, any arguments that the tool allows."""


class Check(Frozen):
    """The check that a good answer passes: exactly one of these."""

    model_config = {"json_schema_extra": {"minProperties": 1, "maxProperties": 1}}

    exact: Text | None = None
    """The answer is exactly this text, apart from white space around it."""
    contains: Text | None = None
    """The answer contains this text; case matters."""
    regex: Expression | None = None
    """This regular expression matches somewhere in the answer; use `^` and `$` to match from start to end."""
    json_schema: Schema | None = None
    """The whole answer is JSON that is valid by this schema (Draft 2020-12; by its $schema also 2019-09 or 7)."""
    tool_call: WantedCall | None = None
    """The answer is exactly this one tool call."""

    @model_validator(mode="after")
    def _is_one(self) -> Check:
        if len(self.model_fields_set) != 1 or getattr(self, self.kind) is None:
            raise ValueError(f"should have exactly one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def kind(self) -> str:
        """The name of the check that is set."""
        return next(iter(self.model_fields_set), "exact")

    @property
    def has_format(self) -> bool:
        """Whether it checks the format of an answer."""
        return self.kind in ("json_schema", "tool_call")


class Prompt(Frozen):
    """One line of the file."""

    id: Line
    """Identifies the prompt in reports; unique in the file."""
    messages: Annotated[tuple[Message, ...], Field(min_length=1)]
    tools: tuple[Tool, ...] = ()
    max_tokens: Annotated[int, Field(ge=1, le=16_384)] = 512
    """The longest answer, in tokens, for both versions that are compared."""
    check: Check

    @model_validator(mode="after")
    def _can_be_answered(self) -> Prompt:
        if self.messages[-1].role not in ("user", "tool"):
            raise ValueError(
                "ends with a message that needs no answer; the last message should have the role user or tool"
            )
        wanted, names = self.check.tool_call, [tool.function.name for tool in self.tools]
        if wanted and wanted.name not in names:
            raise ValueError(f"its check expects a call of {wanted.name}; should have this tool in tools")
        return self

    @property
    def request(self) -> dict[str, JsonValue]:
        """The body of a chat completion: messages, tools if any, both as written, and max_tokens."""
        asked = self.model_dump(mode="json", include={"messages", "tools"}, exclude_unset=True)
        return {**asked, "max_tokens": self.max_tokens}


@dataclass(frozen=True)
class GoldenSet:
    prompts: tuple[Prompt, ...]
    digest: str
    """The sha256 of the file."""
