"""`rackwright drill history`: all drills of the fleet."""

from __future__ import annotations

from pathlib import Path

import click

from rackwright.cli.common.context import Context
from rackwright.cli.common.html_page import html_option, write_page
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.cli.drill.options import signers_option


@click.command(cls=Command)
@html_option("the history, with plots,")
@signers_option
@common_options
@pass_context
def history(context: Context, html: Path | None, signers: Path | None) -> None:
    """List the fleet's drills, oldest first, with RTO, RPO and their objectives.

    It says of each report whether its evidence is sound, and names drills that were killed before they were sealed.
    """
    from rackwright.cli.render.drill_history import examined_document, history_html, history_rows
    from rackwright.cli.render.drill_pages import drill_pages
    from rackwright.cli.render.table import table
    from rackwright.lifecycle.drill.evidence.chain import examine
    from rackwright.lifecycle.drill.evidence.folder import folder_of
    from rackwright.lifecycle.drill.evidence.seal import drafts
    from rackwright.lifecycle.drill.evidence.signers import signers_in, signers_of
    from rackwright.state.formats import utc_now

    fleet = context.fleet
    folder = folder_of(fleet.path)
    known = signers_in(signers) if signers else signers_of(fleet, utc_now())
    chain = examine(folder, known, drill_pages, fleet=fleet.file.fleet)
    left = drafts(folder)
    if html:
        write_page(context, html, history_html(chain, fleet.file.fleet))
    document = {
        "sound": chain.sound,
        "problems": list(chain.problems),
        "reports": [examined_document(one) for one in chain.examined],
        "leftovers": [one.facts.drill for one in left],
    }
    lines = table(history_rows(chain)) if chain.examined else ["no drill yet"]
    context.answer(document, *lines)
    for problem in chain.problems:
        context.note(f"NOT SOUND: {problem}")
    for one in left:
        context.note(f"{one.facts.drill} has no report; next: rackwright drill seal {one.facts.drill}")
