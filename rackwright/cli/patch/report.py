"""`rackwright patch report`: what a patch run changed, for an auditor or a ticket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.html_page import html_option, write_page
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import UsageError

if TYPE_CHECKING:
    from rackwright.state.journal import Entry


@click.command(cls=Command)
@click.argument("run", required=False)
@click.option("--all", "every", is_flag=True, help="List the runs that have a report, instead of showing one.")
@html_option("the report")
@common_options
@pass_context
def report(context: Context, run: str | None, every: bool, html: Path | None) -> None:
    """Show what the last patch run changed, or the one with the id RUN, as Markdown.

    Packages, kernel and driver before and after, CVEs closed and open, reboots, times, who approved it, and how it
    differed from the plan. Asks only the control host, which keeps the last ten runs.
    """
    if every and (run or html):
        raise UsageError("--all lists all runs, and RUN and --html are about one", should="give one of them")
    hosts_needed()
    from rackwright.cli.render.patch_report_document import patch_report_document
    from rackwright.cli.render.patch_sections import patch_pages
    from rackwright.lifecycle.patch.report.history import patch_report, patch_runs

    if every:
        runs = patch_runs(context.fleet)
        context.answer({"runs": [_document(one) for one in runs]}, *(map(_line, runs) if runs else ["no patch run"]))
        return
    found = patch_report(context.fleet, run)
    context.answer(patch_report_document(found), *patch_pages(found, shortened=True).markdown().splitlines())
    if html:
        write_page(context, html, patch_pages(found, shortened=False).html())


def _line(opened: Entry) -> str:
    from rackwright.state.formats import stamp

    return f"{opened.rollout}  {stamp(opened.time)}  {opened.operator}"


def _document(opened: Entry) -> dict[str, str]:
    from rackwright.state.formats import stamp

    return {"run": opened.rollout, "opened": stamp(opened.time), "approved_by": opened.operator}
