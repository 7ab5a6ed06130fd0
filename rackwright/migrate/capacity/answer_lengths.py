"""How long the cloud's answers were in replays, and so how long answers that nobody counted probably are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from rackwright.migrate.folder import Folder
from rackwright.migrate.lines import lines_in
from rackwright.migrate.replayed_answer import ReplayedAnswer
from rackwright.values.base import Stored


@dataclass(frozen=True)
class AnswerLengths:
    """In tokens, as the provider counted them in replays."""

    of: Mapping[str, int] = field(default_factory=dict)
    """Request → tokens of its answer."""
    usual: Mapping[str, int] = field(default_factory=dict)
    """The provider's model → the mean of its answers, rounded."""


class _Named(Stored):
    id: str
    model: str


def answer_lengths(folder: Folder) -> AnswerLengths:
    """Return them. Raise RackwrightError if a file or a line can't be read."""
    of: dict[str, int] = {}
    for _, answer in lines_in(folder, "answers-cloud", ReplayedAnswer):
        if answer.completion_tokens is not None:
            of[answer.request] = answer.completion_tokens
    return AnswerLengths(of, _means(folder, of) if of else {})


def _means(folder: Folder, of: Mapping[str, int]) -> Mapping[str, int]:
    waiting, found = dict(of), defaultdict[str, list[int]](list)
    for _, request in lines_in(folder, "requests", _Named):
        if (tokens := waiting.pop(request.id, None)) is not None:
            found[request.model].append(tokens)
    return {model: max(1, round(sum(tokens) / len(tokens))) for model, tokens in found.items()}
