"""`rackwright migrate score`: whether the fleet answers as well as the cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context, yes_option
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.migrate.score.result import Scored


@click.command(cls=Command)
@click.argument("name")
@yes_option
@common_options
@pass_context
def score(context: Context, name: str, yes: bool) -> int:
    """Judge whether the fleet's answers are as good as the cloud's.

    Compares the answers of `migrate replay`: each request is a pair of the fleet's answer and the cloud's second one,
    which shows how often the cloud agrees with itself. PASS, FAIL or INCONCLUSIVE for each segment; too little data
    never passes. If the plan names a golden set, both sides answer it, and the cloud charges for that: shows the most
    that it may cost, and asks first. Exit code 12 unless the result is PASS.
    """
    hosts_needed()
    found, next_ = _scored(context, name, yes)
    from rackwright.cli.render.migrate_report.score_text import as_text

    context.answer({"score": found.model_dump(mode="json"), "next": next_}, *as_text(found), f"next: {next_}")
    return ExitCode.DONE if found.passed else ExitCode.NOT_PROVEN


def _scored(context: Context, name: str, yes: bool) -> tuple[Scored, str]:
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.migrate.progress import next_step
    from rackwright.lifecycle.migrate.score.procedure import score as compare
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=yes) as console, open_session(context.fleet) as session:
        place = open_place(session, name, console)
        return compare(place), next_step(place)
