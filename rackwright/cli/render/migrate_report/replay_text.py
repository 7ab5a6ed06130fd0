"""What a migration's replays have done, as text, JSON and a part of the report."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.common.context import Json
from rackwright.cli.render.migrate_report.shown import Shown
from rackwright.cli.render.sections import Section
from rackwright.cli.render.table import table
from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.report_source import Reported
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.asking.spent import Spent
from rackwright.migrate.plan.plan import Plan

HEAD = ("asked", "answered", "errors", "prompt tokens", "answer tokens", "seconds each")
_ENDS = {"cloud": "the cloud", "again": "the cloud again", "fleet": "the fleet"}


def replay_lines(outcome: Outcome, budget: float, otherwise: float = 0.0) -> Iterator[str]:
    """`otherwise`: what scores and shadow rounds have cost."""
    yield f"{outcome.sample} of {outcome.recorded} recorded requests"
    yield from table([HEAD, *_rows(outcome)])
    yield f"spent: {_spent(outcome, budget, otherwise)}"
    for why, count in outcome.left_out.items():
        yield f"left out: {count} ({why})"


def replay_document(outcome: Outcome) -> dict[str, Json]:
    return {**outcome.model_dump(mode="json"), "done": outcome.done}


def replay_part(found: Reported) -> Shown | None:
    """Show what was asked again, and what it has cost."""
    outcome = found.result("replay", Outcome)
    if outcome is None:
        return None
    said = f"{outcome.sample} of {outcome.recorded} recorded requests. "
    scores = found.result("golden", Spent)
    said += f"Spent: {_spent(outcome, found.plan.replay.budget, scores.all if scores else 0.0)}."
    if why := outcome.why_incomplete:
        said += f" It isn't complete: {why}."
    tables = [Section("Replay", said, HEAD, tuple(_rows(outcome)))]
    if outcome.left_out:
        rows = tuple((why, str(count)) for why, count in outcome.left_out.items())
        tables.append(Section("Not replayed", "", ("why", "requests"), rows))
    return Shown(replay_document(outcome), tuple(tables))


def stopped_error(outcome: Outcome, plan: Plan) -> RackwrightError | None:
    """Return the error that says why the replay ended early, and what to do; None: it didn't."""
    stopped, again = outcome.stopped, f"rackwright migrate replay {plan.migration}"
    if stopped is None:
        return None
    should, next_ = "what was answered is kept", stopped.before(again, plan.cloud)
    if stopped.kind == "budget":
        should = "replay.budget of the plan covers no further request"
        more = f"raise replay.budget in the plan, then {again}"
        next_ = f"rackwright migrate score {plan.migration}" if outcome.can_be_scored else more
    return RackwrightError(f"the replay stopped: {stopped.line()}", where=plan.migration, should=should, next=next_)


def _spent(outcome: Outcome, budget: float, otherwise: float) -> str:
    text = f"{outcome.spent + outcome.reserved + otherwise:.2f} of {budget:.2f} {outcome.currency}"
    return f"{text}, {otherwise:.2f} of it by scores and shadow rounds" if otherwise else text


def _rows(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    for asked, one in outcome.asks.items():
        errors = ", ".join(f"{count} {what}" for what, count in one.errors.items()) or "0"
        each = f"{one.seconds / one.answered:.1f}" if one.answered else "-"
        yield _ENDS[asked], str(one.answered), errors, str(one.prompt_tokens), str(one.completion_tokens), each
