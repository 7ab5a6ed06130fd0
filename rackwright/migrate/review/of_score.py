"""The score that the cutover began with, against the newest one."""

from __future__ import annotations

from datetime import datetime

from rackwright.migrate.review.promises import Finding, State
from rackwright.migrate.score.result import Scored
from rackwright.verdict.result import Word

_STATES: dict[Word, State] = {Word.PASS: "kept", Word.FAIL: "broken", Word.INCONCLUSIVE: "open"}


def of_score(promised: Scored, now: Scored | None, when: datetime | None, next_: str) -> Finding:
    """Return it. `now`: the newest score since the cutover began, made at `when`; `next_`: what makes one."""
    known = Finding(
        promise="score",
        unit="points",
        promised=_points(promised),
        limit=-promised.margin,
        state="not measured",
        why="there is no score of answers since the cutover began",
        next=next_,
    )
    if now is None or when is None:
        return known
    state, why = _STATES[now.word], f"{now.word} on {when:%Y-%m-%d}: {now.why}"
    if now.margin > promised.margin and state == "kept":
        state, why = "open", f"{why}; but its margin is {now.margin:g} points, and {promised.margin:g} was promised"
    update = {"measured": _points(now), "state": state, "why": why, "next": "" if state == "kept" else next_}
    return known.model_copy(update=update)


def _points(scored: Scored) -> float | None:
    """Return by how many points the fleet's answers are better than the cloud's own second ones; None: not known."""
    found = next((one.difference for one in scored.segments if one.kind == "all"), None)
    return None if found is None else 100 * found
