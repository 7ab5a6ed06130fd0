"""The verdict: make and judge every comparison that the data allow, and derive one word from all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rackwright.fleet.golden.golden_set import LEAST
from rackwright.verdict import golden, times
from rackwright.verdict.errors import errors
from rackwright.verdict.figure import Chances, Measured, chances
from rackwright.verdict.inputs import Evidence
from rackwright.verdict.judge import judge
from rackwright.verdict.quantiles import RESAMPLES
from rackwright.verdict.result import Comparison, Figure, Verdict, Word
from rackwright.verdict.thresholds import Thresholds

_TIMES: dict[times.Name, tuple[Figure, str]] = {
    "ttft": (Figure.GOLDEN_TTFT, "time to first token"),
    "tpot": (Figure.GOLDEN_TPOT, "time per token"),
}
"""Each time's figure in the golden set, and its name."""


def decide(
    evidence: Evidence, thresholds: Thresholds | None = None, *, looks: int = 1, resamples: int = RESAMPLES
) -> Verdict:
    """Judge whether the candidate may replace the running version: FAIL if any comparison fails, PASS if all that
    decide pass.

    `looks`: the highest number of verdicts on these data as they grow; they share the allowed chance of an error. The
    same evidence always gives the same verdict.
    """
    allowed = thresholds or Thresholds()
    parts = tuple(_parts(evidence, allowed, resamples))
    at = chances(sum(part.comparisons for part in parts), looks)
    measured = [one for part in parts for one in part.measure(at)]
    figures = {one.figure for one in measured}
    comparisons = sorted((_left_to_clients(judge(one, allowed), figures) for one in measured), key=_place)
    return Verdict(
        word=_word(comparisons),
        why=_why(comparisons),
        comparisons=tuple(comparisons),
        chance=at.plain,
        wide_chance=at.wide,
        not_compared=tuple(_left_out(evidence)),
        golden_digest=evidence.golden.digest if evidence.golden else None,
    )


@dataclass(frozen=True)
class _Part:
    comparisons: int
    measure: Callable[[Chances], Iterable[Measured]]


def _parts(evidence: Evidence, allowed: Thresholds, resamples: int) -> Iterator[_Part]:
    running, candidate, answers = evidence.running, evidence.candidate, evidence.golden
    yield _Part(1, lambda at: [errors(running, candidate, at)])
    for name, (figure, _) in _TIMES.items():
        # Every answer has a first byte, so if no time is known, there is too little data, and that must be reported.
        if name == "ttft" or times.has(name, running, candidate):
            slower = partial(times.slower, name, running, candidate, resamples=resamples)
            yield _Part(len(times.FIGURES[name]), slower)
        if answers and golden.has_times(name, answers):
            yield _Part(1, partial(_golden_times, figure, name, evidence))
    if answers:
        yield _Part(1, lambda at: [golden.score(answers, at, allowed.golden)])
        if golden.with_format(answers) >= LEAST:
            yield _Part(1, lambda at: [golden.formats(answers, at, allowed.formats)])


def _golden_times(figure: Figure, name: times.Name, evidence: Evidence, at: Chances) -> Iterator[Measured]:
    if evidence.golden:
        yield golden.slower(figure, name, evidence.golden, at)


def _left_out(evidence: Evidence) -> Iterator[str]:
    answers = evidence.golden
    if not times.has("tpot", evidence.running, evidence.candidate):
        yield "time per token of live traffic: the number of tokens is known for too few answers"
    if not answers:
        yield "golden score, valid formats and times of the golden set: there is no golden set"
        return
    for name, (_, called) in _TIMES.items():
        if not golden.has_times(name, answers):
            yield f"{called} of the golden set: it isn't known for both versions for any prompt"
    if (count := golden.with_format(answers)) < LEAST:
        asking = f"only {count} prompts ask for a format, at least {LEAST} are needed"
        yield f"valid formats: {asking if count else 'no check of the golden set asks for a format'}"


def _left_to_clients(comparison: Comparison, figures: set[Figure]) -> Comparison:
    """Mark an open time of the golden set as not deciding if clients' requests show the same time.

    The golden set is asked while the candidate serves no clients. That shows if it is much slower, but hardly if it
    is as fast.
    """
    measured = {figure for name, (figure, _) in _TIMES.items() if figures & times.FIGURES[name].keys()}
    if comparison.word is not Word.INCONCLUSIVE or comparison.figure not in measured:
        return comparison
    return replace(comparison, decides=False, why=f"{comparison.why}; the times of clients' requests decide")


def _place(comparison: Comparison) -> int:
    return list(Figure).index(comparison.figure)


def _word(comparisons: Sequence[Comparison]) -> Word:
    found = {comparison.word for comparison in comparisons if comparison.decides}
    if Word.FAIL in found:
        return Word.FAIL
    return Word.INCONCLUSIVE if Word.INCONCLUSIVE in found else Word.PASS


def _why(comparisons: Sequence[Comparison]) -> str:
    word = _word(comparisons)
    deciding = [comparison for comparison in comparisons if comparison.decides]
    if word is Word.PASS:
        which = " that decide" if len(deciding) < len(comparisons) else ""
        return f"all {len(deciding)} comparisons{which} are within their thresholds"
    first, *others = [comparison for comparison in deciding if comparison.word is word]
    also = f"; the same is true of {', '.join(one.figure for one in others)}" if others else ""
    return f"{first.figure} {'is too bad' if word is Word.FAIL else 'is open'}: {first.why}{also}"
