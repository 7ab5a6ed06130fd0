"""Drills over time: a table for the terminal, and a page with plots."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.cli.common.context import Json
from rackwright.cli.render import plots
from rackwright.cli.render.drill_sections import NONE, seconds
from rackwright.cli.render.page import page
from rackwright.lifecycle.drill.evidence.chain import Chain, Examined
from rackwright.lifecycle.drill.evidence.report import Report
from rackwright.state.formats import stamp

HEAD = (
    "STARTED",
    "DRILL",
    "SCENARIO",
    "PASSED",
    "RTO",
    "OBJECTIVE",
    "RPO",
    "OBJECTIVE",
    "SIGNER",
    "REVIEWED BY",
    "EVIDENCE",
)


def history_rows(chain: Chain) -> list[tuple[str, ...]]:
    """Return a row for each report, oldest first, with the head."""
    return [HEAD, *map(_row, chain.examined)]


def examined_document(one: Examined) -> dict[str, Json]:
    """Return a report and what is wrong with it as a document for --json."""
    report = one.report
    return {
        "path": str(one.path),
        "sha256": one.sha256,
        "sound": one.sound,
        "problems": list(one.problems),
        "reviews": [
            {
                "path": str(review.path),
                "problem": review.problem,
                "reviewer": review.review.reviewer if review.review else None,
                "time": stamp(review.review.time) if review.review else None,
            }
            for review in one.reviews
        ],
        "report": report.model_dump(mode="json") if report else None,
    }


def history_html(chain: Chain, fleet: str) -> str:
    """Return the page. Everything that came from a report is escaped."""
    return page(
        "drill_history.html",
        title=f"Recovery drills of {fleet}",
        head=[word.lower() for word in HEAD],
        rows=[_row(one) for one in chain.examined],
        problems=chain.problems,
        plots=tuple(_plots(chain)),
        size=plots,
        seconds=seconds,
    )


def _plots(chain: Chain) -> Iterator[plots.Plot]:
    """Yield a plot of RTO and of RPO by the number of the report, with the newest objective as its limit."""
    reports = [one.report for one in chain.examined if one.report and one.sound]
    policy = next((one.facts.policy for one in reversed(reports) if one.facts.policy), None)
    rtos = [(one.number, one.conclusion.rto_s) for one in reports]
    rpos = [(one.number, one.conclusion.rpo_s) for one in reports]
    drawn = (
        _plot("RTO", rtos, policy.rto_s if policy else None),
        _plot("RPO", rpos, policy.rpo_s if policy else None),
    )
    yield from (plot for plot in drawn if plot)


def _plot(name: str, found: list[tuple[int, float | None]], objective: int | None) -> plots.Plot | None:
    measured = [(float(number), value) for number, value in found if value is not None]
    return plots.plotted(name, "s", measured, wanted=objective)


def _row(one: Examined) -> tuple[str, ...]:
    evidence = "sound" if one.sound else f"NOT SOUND: {_problem(one)}"
    if not one.report:
        return (NONE, one.path.name, *[NONE] * 8, evidence)
    return (*_cells(one.report), _reviewers(one), evidence)


def _cells(report: Report) -> tuple[str, ...]:
    facts, found = report.facts, report.conclusion
    rto, rpo = (facts.policy.rto_s, facts.policy.rpo_s) if facts.policy else (None, None)
    return (
        stamp(facts.started),
        facts.drill,
        facts.scenario,
        "yes" if found.passed else "NO",
        seconds(found.rto_s),
        seconds(rto),
        seconds(found.rpo_s),
        seconds(rpo),
        report.signer,
    )


def _reviewers(one: Examined) -> str:
    names = dict.fromkeys(review.review.reviewer for review in one.reviews if review.review)
    return ", ".join(names) or NONE


def _problem(one: Examined) -> str:
    return next(iter(one.problems), next((review.problem for review in one.reviews if review.problem), "")) or ""
