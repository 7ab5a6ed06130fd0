"""Judge each segment, and derive one word from all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from rackwright.migrate.plan.plan import Score
from rackwright.migrate.score.join import NOT_REPLAYED
from rackwright.migrate.score.request_checks import ABOUT
from rackwright.migrate.score.result import Kind, Scored, Segment
from rackwright.migrate.score.tally import Tally
from rackwright.verdict.figure import Chances, Measured, chances
from rackwright.verdict.needed import how_many, pairs_for
from rackwright.verdict.paired import changed, growing, is_blind
from rackwright.verdict.proportions import PairedShares
from rackwright.verdict.result import Difference, Figure, Side, Word

_ALWAYS: tuple[Kind, ...] = ("all", "model", "golden")
"""Segments that decide even if there are few pairs."""
_NOISY = 0.8
"""A noise floor below this share is worth a remark."""


def decide(tally: Tally, thresholds: Score, golden_digest: str | None = None) -> Scored:
    """Return the result: FAIL if any segment fails, PASS only if all that decide pass.

    A segment PASSes if it has enough pairs and the whole 95 % interval of fleet - again is above -margin, and FAILs
    if its whole wide interval is below that. The same counts always give the same result.
    """
    at = chances(len(tally.cells), looks=1)
    segments = tuple(_segment(tally, kind, name, thresholds, at) for kind, name in sorted(tally.cells, key=_rank))
    word = _word(segments)
    return Scored(
        word=word,
        why=_why(word, segments),
        margin=thresholds.margin,
        least=thresholds.least,
        chance=at.plain,
        wide_chance=at.wide,
        requests=tally.requests,
        fleet_failed=tally.fleet_failed,
        left_out=dict(sorted((+tally.left_out).items())),
        segments=segments,
        doubts=tuple(_doubts(tally, segments)),
        unlike=tally.unlike,
        judge=thresholds.judge,
        golden_digest=golden_digest,
    )


def _rank(place: tuple[Kind, str]) -> tuple[int, int, str]:
    kind, name = place
    checks = list(ABOUT)
    return get_args(Kind).index(kind), checks.index(name) if name in checks else 0, name


def _segment(tally: Tally, kind: Kind, name: str, thresholds: Score, at: Chances) -> Segment:
    table = tally.table(kind, name)
    if not table.tries:
        why, decides = "there is no pair", _decides(tally, kind, 0, thresholds.least)
        return Segment(kind=kind, of=name, pairs=0, word=Word.INCONCLUSIVE, why=why, decides=decides)
    found, margin = changed(table, at), thresholds.margin / 100
    word, why = _judged(table, found, thresholds, at)
    return Segment(
        kind=kind,
        of=name,
        pairs=table.tries,
        fleet=table.second.value,
        again=table.first.value,
        difference=found.estimate,
        low=found.interval.low,
        high=found.interval.high,
        wide_low=found.wide.low,
        wide_high=found.wide.high,
        word=word,
        why=why,
        needed=_needed(table, found, margin, thresholds.least, at) if word is Word.INCONCLUSIVE else None,
        decides=word is Word.FAIL or _decides(tally, kind, table.tries, thresholds.least),
    )


def _decides(tally: Tally, kind: Kind, pairs: int, least: int) -> bool:
    # A judge that says nothing must not be as good as none.
    return kind in _ALWAYS or pairs + (tally.unjudged if kind == "judge" else 0) >= least


def _judged(table: PairedShares, found: Difference, thresholds: Score, at: Chances) -> tuple[Word, str]:
    margin, allowed = thresholds.margin / 100, f"-{thresholds.margin:g} points"
    if found.wide.high < -margin:
        wide = _seen(found.estimate, found.wide.low, found.wide.high, "wide interval: ")
        return Word.FAIL, f"{wide}, beyond {allowed}"
    if table.tries < thresholds.least:
        few = f"{table.tries} pair{'' if table.tries == 1 else 's'}"
        return Word.INCONCLUSIVE, f"{few}, at least {thresholds.least} are needed"
    if is_blind(table.first, at, margin):
        good = f"only {table.first.hits} of the cloud's {table.tries} own second answers are good"
        return Word.INCONCLUSIVE, f"{good}, so nothing can be concluded"
    seen = _seen(found.estimate, found.interval.low, found.interval.high)
    if found.interval.low > -margin:
        return Word.PASS, f"{seen}, within {allowed}"
    return Word.INCONCLUSIVE, f"{seen}, which neither excludes {allowed} nor is beyond it"


def _seen(estimate: float, low: float, high: float, which: str = "") -> str:
    return f"{points(estimate)} points against the cloud itself ({which}{points(low)} to {points(high)})"


def points(share: float) -> str:
    """Format a difference of shares in points, like "+2.5"."""
    # Rounded first and + 0.0, so that "-0.0" never appears.
    return f"{round(share * 100, 1) + 0.0:+.1f}"


def _needed(table: PairedShares, found: Difference, margin: float, least: int, at: Chances) -> int | None:
    """Return about how many pairs would decide if the shares stayed the same, and as many as it takes to show that
    both sides are equally good if so many pairs disagree."""
    if table.tries >= least and is_blind(table.first, at, margin):
        return None
    first, second = (Side(table.tries, table.tries, share.value) for share in (table.first, table.second))
    # A fall of this figure is worse, and it is a share.
    measured = Measured(Figure.GOLDEN, first, second, found, growing(table, at))
    decides = how_many(measured, found, -margin)
    disagree = (table.first_only + table.second_only) / table.tries
    return None if decides is None else max(decides, least, pairs_for(disagree, margin))


def _word(segments: Sequence[Segment]) -> Word:
    found = {segment.word for segment in segments if segment.decides}
    if Word.FAIL in found:
        return Word.FAIL
    return Word.PASS if found == {Word.PASS} else Word.INCONCLUSIVE


def _why(word: Word, segments: Sequence[Segment]) -> str:
    deciding = [segment for segment in segments if segment.decides]
    if word is Word.PASS:
        return f"all {len(deciding)} segments that decide are within the margin"
    first, *others = [segment for segment in deciding if segment.word is word]
    also = f"; the same is true of {', '.join(other.name for other in others)}" if others else ""
    return f"{first.name} {'is too bad' if word is Word.FAIL else 'is open'}: {first.why}{also}"


def _doubts(tally: Tally, segments: Sequence[Segment]) -> Iterator[str]:
    for segment in segments:
        if not segment.decides:
            yield f"{segment.name} isn't decided: {segment.why}"
        if segment.again is not None and segment.again < _NOISY:
            yield f"{segment.name}: only {segment.again:.0%} of the cloud's own second answers are good"
    judged = sum(sum(cell.values()) for (kind, _), cell in tally.cells.items() if kind == "judge")
    if (unchecked := tally.unchecked - judged) > 0:
        of = f"{unchecked} of {tally.requests} requests"
        yield f"{of} are compared by form alone: no check and no judge looks at the content of their answers"
    if tally.unjudged:
        yield f"the judge gave no verdict on {tally.unjudged} requests"
    scored, out = tally.requests, (+tally.left_out).total() - tally.left_out[NOT_REPLAYED]
    if out > scored / 10:
        yield f"{out} requests were left out, {scored} were scored"
