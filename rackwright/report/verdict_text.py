"""A verdict as lines of text, for an operator who was just woken up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rackwright.terminal import Styled
from rackwright.verdict import Comparison, Verdict, Word
from rackwright.verdict import words as said

COLORS: dict[str, str] = {Word.PASS: "green", Word.FAIL: "red", Word.INCONCLUSIVE: "yellow"}
HEADS = ("", "figure", "running", "candidate", "difference", "lies in", "too bad from", "noise", "counted")


@dataclass(frozen=True)
class Ended:
    """How a canary ended. The comparisons need not have decided: it may have become unhealthy before."""

    word: str
    why: str

    def differs(self, verdict: Verdict) -> bool:
        return self.why != verdict.why


def verdict_text(verdict: Verdict, about: str, ended: Ended | None = None) -> list[str]:
    """Return lines: the word with its reason, a line for each comparison, and why those that didn't pass did not.

    `about`: what was compared with what, in one line. `ended`: the verdict decided if it is None.
    """
    ended = ended or Ended(verdict.word, verdict.why)
    lines = [about, _said(ended)]
    if ended.differs(verdict):
        lines.append(_said(Ended(verdict.word, verdict.why), "the comparisons alone: "))
    lines += ["", *_table(verdict.comparisons)]
    lines += ["", *(f"note: {note}" for note in notes(verdict))]
    return lines


def _said(ended: Ended, before: str = "") -> str:
    return Styled(f"{before}{ended.word}: {ended.why}", COLORS.get(ended.word), bold=True)


def cells(comparison: Comparison) -> tuple[str, ...]:
    """Return a comparison's figures for people, in the order of HEADS; "-" for one that isn't known."""
    figure, found = comparison.figure, comparison.difference
    sides = comparison.running, comparison.candidate
    return (
        comparison.word,
        figure,
        *(said.value(figure, side.value) for side in sides),
        said.difference(figure, found.estimate) if found else "-",
        said.interval(figure, found.interval) if found else "-",
        said.difference(figure, comparison.threshold),
        "-" if found is None or found.noise is None else said.size(figure, found.noise),
        " / ".join(str(side.count) for side in sides),
    )


def notes(verdict: Verdict) -> Iterator[str]:
    """Yield why comparisons didn't pass, what wasn't compared, and how certain the intervals are."""
    for word in (Word.FAIL, Word.INCONCLUSIVE):
        yield from (f"{one.figure}: {one.why}" for one in verdict.of(word))
    yield from (f"not compared: {what}" for what in verdict.not_compared)
    plain, wide = (f"{chance * 100:.4g} %" for chance in (verdict.chance, verdict.wide_chance))
    yield (
        f"each difference is in its interval with a probability of {plain}; "
        f"a FAIL is judged by a wider one, with {wide}"
    )


def _table(comparisons: Sequence[Comparison]) -> Iterator[str]:
    rows = [HEADS, *map(cells, comparisons)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        texts = [f"{cell:<{width}}" for cell, width in zip(row[:2], widths, strict=False)]
        figures = [f"{cell:>{width}}" for cell, width in zip(row[2:], widths[2:], strict=True)]
        line = "  ".join([*texts, *figures])
        yield Styled(line, COLORS[comparisons[number - 1].word]) if number else line
