"""`rackwright model verdict`: show how a model's canaries ended, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.html_page import html_option, write_page
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import UsageError

if TYPE_CHECKING:
    from rackwright.state.canaries import CanaryVerdict


@click.command(cls=Command)
@click.argument("name")
@click.option("--all", "every", is_flag=True, help="List all canaries, instead of showing the last one.")
@html_option("the report")
@common_options
@pass_context
def verdict(context: Context, name: str, every: bool, html: Path | None) -> None:
    """Show the report on the last canary of the model NAME. Asks only the control host."""
    if html and every:
        raise UsageError("--html writes one report, and --all lists them", should="give one of them")
    hosts_needed()
    from rackwright.lifecycle.canary.history import canary_verdicts

    kept = canary_verdicts(context.fleet, name)
    if every:
        context.answer({"canaries": [_document(one) for one in kept]}, *(map(_line, kept) if kept else [_none(name)]))
        return
    last = kept[-1] if kept else None
    context.answer({"canary": _document(last) if last else None}, *(report_on(last) if last else [_none(name)]))
    if last and html:
        _write(context, html, last)


def _none(name: str) -> str:
    return f"{name} has had no canary"


def _line(one: CanaryVerdict) -> str:
    return f"{_when(one)}  {one.outcome}  {one.before[:16]} → {one.after[:16]}  {one.why}"


def _about(one: CanaryVerdict) -> str:
    golden = f", golden set {one.golden[:16]}" if one.golden else ""
    return (
        f"{one.what}: the canary {one.replica} {_went(one)} at {one.share:g} % of the conversations "
        f"({one.before[:16]} → {one.after[:16]}{golden}; {one.who}, {_when(one)})"
    )


def _went(one: CanaryVerdict) -> str:
    if one.outcome == "open":
        # The command that watched it may have been killed since.
        return "was open when last checked,"
    return "was left" if one.outcome == "left" else f"ended with {one.outcome}"


def _when(one: CanaryVerdict) -> str:
    from rackwright.state.formats import stamp

    return stamp(one.when)


def report_on(one: CanaryVerdict) -> list[str]:
    """Return the report as lines of text."""
    from rackwright.report.verdict_text import Ended, verdict_text

    if one.verdict is None:
        return [_about(one), f"{one.outcome}: {one.why}"]
    return verdict_text(one.verdict, _about(one), Ended(one.outcome, one.why))


def _document(one: CanaryVerdict) -> dict[str, Json]:
    from rackwright.report.verdict_document import verdict_document

    document: dict[str, Json] = one.model_dump(mode="json", exclude={"verdict"})
    return {**document, "verdict": verdict_document(one.verdict) if one.verdict else None}


def _write(context: Context, path: Path, one: CanaryVerdict) -> None:
    from rackwright.cli.render.verdict_html import as_html
    from rackwright.report.verdict_text import Ended

    if one.verdict is None:
        context.note("there is no verdict yet, so there is no page")
        return
    write_page(context, path, as_html(one.verdict, _about(one), Ended(one.outcome, one.why)))
