"""The golden set asked of both versions, and of the running one twice: how far apart alike answers are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationError

from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.golden_file import read_golden_set
from rackwright.fleet.golden_set import GoldenSet, Prompt
from rackwright.lifecycle.canary.engines_asked import Reply, ask_engine
from rackwright.lifecycle.changes import Paused
from rackwright.lifecycle.site import Site
from rackwright.stopping import Stopping
from rackwright.values import Stored
from rackwright.verdict import Answer, GoldenAnswers, Pair
from rackwright.verdict.golden_check import Call, Said, score

MAX_TOKENS = 512
"""Of an answer: one that goes on and on ends there, on both sides."""
AT_A_TIME = 10
"""Questions in one command: between two of them the operator may stop."""


def golden_set_of(fleet: Fleet, model: str) -> GoldenSet | None:
    """Return the golden set of a model's canary; None: it has none. Raise FleetError with its every problem."""
    rules = fleet.file.models[model].canary
    return read_golden_set(fleet.at(rules.golden)) if rules and rules.golden else None


@dataclass(frozen=True)
class Questions:
    """A golden set, to be asked of a model's replicas at their sockets."""

    site: Site
    golden: GoldenSet
    model: str
    stopping: Stopping
    check: Callable[[], None]
    """Raises LeasedError where the lease has ended."""

    def answers(self, running: Replica, canary: Replica) -> GoldenAnswers:
        """Ask both at once, then the running one again. Raise Paused where the operator stops, HostError where a host
        can't be asked. An engine that gives no answer didn't pass."""
        pairs: list[Pair] = []
        again: list[Pair] = []
        for prompts in _batches(self.golden.prompts):
            first, other = self._ask_both(running, canary, prompts)
            pairs += map(_pair, prompts, first, other)
            again += map(_pair, prompts, first, self._ask(running, prompts))
        return GoldenAnswers(self.golden.digest, tuple(pairs), tuple(again))

    def _ask_both(self, running: Replica, canary: Replica, prompts: Sequence[Prompt]) -> tuple[list[Answer], ...]:
        both = {one.address: one for one in (running, canary)}
        told = self.site.remote.each(both, lambda address: self._ask(both[address], prompts))
        return told[running.address], told[canary.address]

    def _ask(self, replica: Replica, prompts: Sequence[Prompt]) -> list[Answer]:
        self.check()
        if self.stopping():
            raise Paused("interrupted; the canary had no traffic", where=replica.address)
        name = self.site.fleet.file.models[self.model].names[0]
        replies = ask_engine(self.site, replica, [body_of(prompt, name) for prompt in prompts])
        return [answer_of(prompt, reply) for prompt, reply in zip(prompts, replies, strict=True)]


def body_of(prompt: Prompt, name: str) -> str:
    """Return the chat completion that asks it, of a served name."""
    asked = prompt.model_dump(mode="json", exclude_unset=True, include={"messages", "tools"})
    return json.dumps({**asked, "model": name, "temperature": 0, "max_tokens": MAX_TOKENS, "stream": False})


def answer_of(prompt: Prompt, reply: Reply) -> Answer:
    """Return what came of one question."""
    said, tokens = said_in(reply.body) if reply.status == 200 else (Said(), None)
    scored = score(prompt, said)
    return Answer(scored.passed, scored.valid, tpot=reply.seconds / tokens if tokens else None)


def said_in(body: str) -> tuple[Said, int | None]:
    """Given a chat completion, return what it says, and how many tokens it has; nothing where it isn't one."""
    try:
        found = _Completion.model_validate_json(body)
    except ValidationError:
        return Said(), None
    message = found.choices[0].message
    calls = tuple(Call(call.function.name, call.function.arguments) for call in message.tool_calls or ())
    return Said(message.content or "", calls), found.usage.completion_tokens if found.usage else None


class _Function(Stored):
    name: str
    arguments: str


class _ToolCall(Stored):
    function: _Function


class _Message(Stored):
    content: str | None = None
    tool_calls: tuple[_ToolCall, ...] | None = None


class _Choice(Stored):
    message: _Message


class _Usage(Stored):
    completion_tokens: int


class _Completion(Stored):
    choices: Annotated[tuple[_Choice, ...], Field(min_length=1)]
    usage: _Usage | None = None


def _pair(prompt: Prompt, running: Answer, candidate: Answer) -> Pair:
    return Pair(prompt.id, running, candidate)


def _batches(prompts: Sequence[Prompt]) -> Iterator[Sequence[Prompt]]:
    for begin in range(0, len(prompts), AT_A_TIME):
        yield prompts[begin : begin + AT_A_TIME]
