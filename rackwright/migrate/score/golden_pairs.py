"""The operator's golden set, as requests to both sides, and whether their answers pass its checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rackwright.fleet.golden.golden_set import GoldenSet, Prompt
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from rackwright.migrate.score.request_checks import Marks, usable
from rackwright.verdict.golden_check import Call, Said, score


def golden_requests(golden: GoldenSet, model: str) -> tuple[RecordedRequest, ...]:
    """Return a request for each prompt, to this model of the provider."""
    return tuple(
        RecordedRequest(
            id=_id(prompt, model),
            path="/v1/chat/completions",
            model=model,
            body={"model": model, **prompt.request},
            origin="jsonl",
        )
        for prompt in golden.prompts
    )


def golden_marks(
    golden: GoldenSet, model: str, cloud: Mapping[str, ReplayedAnswer], fleet: Mapping[str, ReplayedAnswer]
) -> Iterator[Marks]:
    """Given each side's answers by their request, yield whether they pass; `again` is the cloud.

    Prompts that the cloud failed, or that a side wasn't asked, are left out.
    """
    for prompt in golden.prompts:
        name = _id(prompt, model)
        if name in cloud and name in fleet and usable(cloud[name]):
            yield Marks(_passes(prompt, fleet[name]), _passes(prompt, cloud[name]))


def _id(prompt: Prompt, model: str) -> str:
    return f"golden/{model}/{prompt.id}"


def _passes(prompt: Prompt, answer: ReplayedAnswer) -> bool:
    calls = tuple(Call(call.name, call.arguments) for call in answer.calls)
    return usable(answer) and score(prompt, Said(answer.text, calls)).passed
