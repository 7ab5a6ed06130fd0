"""Ask both versions the golden set, and the running one twice, to see how much answers of one version differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationError

from rackwright.errors import ProofError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.golden.golden_file import read_golden_set
from rackwright.fleet.golden.golden_set import GoldenSet, Prompt
from rackwright.lifecycle.canary.engine_requests import Reply, ask_engine
from rackwright.lifecycle.rollout.change import Clock, Paused, Undecided
from rackwright.lifecycle.session.session import Session
from rackwright.stopping import Stopping
from rackwright.values.base import Stored
from rackwright.verdict import Answer, GoldenAnswers, Pair
from rackwright.verdict.golden_check import Call, Said, score

AT_A_TIME = 4
"""Questions in one command; the operator can stop between commands."""
_NO_CLIENT = "no client's request went to the new version"


def golden_set_of(fleet: Fleet, model: str) -> GoldenSet | None:
    """Return the golden set of a model's canary, None if it has none. Raise FleetError with every problem in it."""
    rules = fleet.file.models[model].canary
    return read_golden_set(fleet.at(rules.golden)) if rules and rules.golden else None


@dataclass(frozen=True)
class Questions:
    """A golden set, to be sent to a model's replicas at their sockets."""

    session: Session
    golden: GoldenSet
    model: str
    limit: float
    """Longest time for all questions, in seconds."""
    clock: Clock
    stopping: Stopping
    check: Callable[[], None]
    """Raises LeasedError if the lease has ended."""
    tell: Callable[[str], None]
    """Prints progress."""

    def answers(self, running: Replica, canary: Replica) -> GoldenAnswers:
        """Ask both at once, then the running one again. A question without an answer counts as not passed.

        Raise ProofError if the canary answers nothing, Undecided if the time is over, Paused if the operator stops,
        HostError if a host can't be asked.
        """
        pairs: list[Pair] = []
        again: list[Pair] = []
        start = self.clock.now()
        for prompts in _batches(self.golden.prompts):
            if self.clock.now() - start > self.limit:
                raise Undecided(f"only {self._so_far(pairs)} were answered in {self.limit:g} s", should=_NO_CLIENT)
            first, other = self._ask_both(running, canary, prompts)
            pairs += map(_pair, prompts, first, other)
            again += map(_pair, prompts, first, self._ask(running, prompts))
            self.tell(f"{canary.address}: {self._so_far(pairs)}")
        return GoldenAnswers(self.golden.digest, tuple(pairs), tuple(again))

    def _so_far(self, pairs: Sequence[Pair]) -> str:
        return f"{len(pairs)} of {len(self.golden.prompts)} questions"

    def _ask_both(self, running: Replica, canary: Replica, prompts: Sequence[Prompt]) -> tuple[list[Answer], ...]:
        both = {one.address: one for one in (running, canary)}
        replies = self.session.remote.each(both, lambda address: self._replies(both[address], prompts))
        silent = [not any(reply.status == 200 for reply in replies[one.address]) for one in (running, canary)]
        if silent == [False, True]:
            raise ProofError(
                f"it answered none of {len(prompts)} questions, but {running.address} did", should=_NO_CLIENT
            )
        return tuple(_answers(prompts, replies[one.address]) for one in (running, canary))

    def _ask(self, replica: Replica, prompts: Sequence[Prompt]) -> list[Answer]:
        return _answers(prompts, self._replies(replica, prompts))

    def _replies(self, replica: Replica, prompts: Sequence[Prompt]) -> list[Reply]:
        self.check()
        if self.stopping():
            raise Paused("interrupted; the canary has had no traffic", where=replica.address)
        return ask_engine(self.session, replica, [body_of(prompt, self.model) for prompt in prompts])


def body_of(prompt: Prompt, name: str) -> str:
    """Return the body of the chat completion request that asks the prompt; the engine knows its model by `name`."""
    return json.dumps({**prompt.request, "model": name, "temperature": 0, "stream": False})


def answer_of(prompt: Prompt, reply: Reply) -> Answer:
    """Score the reply to one question."""
    said, tokens = said_in(reply.body) if reply.status == 200 else (Said(), None)
    scored = score(prompt, said)
    return Answer(scored.passed, scored.valid, tpot=reply.seconds / tokens if tokens else None)


def said_in(body: str) -> tuple[Said, int | None]:
    """Return a chat completion's content and number of tokens; an empty answer and None if it isn't one."""
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


def _answers(prompts: Sequence[Prompt], replies: Sequence[Reply]) -> list[Answer]:
    return [answer_of(prompt, reply) for prompt, reply in zip(prompts, replies, strict=True)]


def _pair(prompt: Prompt, running: Answer, candidate: Answer) -> Pair:
    return Pair(prompt.id, running, candidate)


def _batches(prompts: Sequence[Prompt]) -> Iterator[Sequence[Prompt]]:
    for begin in range(0, len(prompts), AT_A_TIME):
        yield prompts[begin : begin + AT_A_TIME]
