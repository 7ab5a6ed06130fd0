"""`rackwright migrate review`: what was promised before the cutover, against what is measured now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.html_page import html_option, write_page
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.migrate.review.promises import Reviewed


@click.command(cls=Command)
@click.argument("name")
@html_option("the review, with lines for signatures,", "--out")
@common_options
@pass_context
def review(context: Context, name: str, out: Path | None) -> int:
    """Compare what was promised before the cutover with what is measured now.

    Promised is what score, capacity and cost said when the cutover of the migration NAME began, and the cloud's own
    errors and times. Measured is what the gateways' access logs and ledgers say, and the newest score. What can't be
    measured is listed with the reason and the next command. The migration's log has the result. Exit code 12 if a
    promise is broken.
    """
    hosts_needed()
    found, title = _reviewed(context, name)
    from rackwright.cli.render.migrate_report.review_page import as_html
    from rackwright.cli.render.migrate_report.review_text import as_text, document

    context.answer({"review": document(found)}, *as_text(found))
    if out:
        write_page(context, out, as_html(found, title))
    return ExitCode.DONE if found.kept else ExitCode.NOT_PROVEN


def _reviewed(context: Context, name: str) -> tuple[Reviewed, str]:
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.migrate.review.procedure import review as compare
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=True) as console, open_session(context.fleet) as session:
        place = open_place(session, name, console)
        return compare(place), f"Review of the migration {name} of {session.fleet.file.fleet}"
