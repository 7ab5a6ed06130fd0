"""`rackwright migrate cost`: the provider's bill against what the fleet costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.migrate.cost.comparison import Costed


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--usage",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The provider's bill: OpenAI's costs or usage as JSON, or a CSV file.",
)
@common_options
@pass_context
def cost(context: Context, name: str, usage: Path | None) -> int:
    """Compare the provider's bill with what the fleet costs.

    Without --usage, the bill is computed from recorded requests and the plan's prices. The fleet's costs are those of
    the plan. Shows both per month, and the month in which the fleet breaks even; also for a bill and costs that are
    20 percent lower or higher.
    """
    hosts_needed()
    found, next_ = _costed(context, name, usage)
    from rackwright.cli.render.migrate_report.cost_text import as_text

    context.answer({"cost": found.model_dump(mode="json"), "next": next_}, *as_text(found), f"next: {next_}")
    return ExitCode.DONE


def _costed(context: Context, name: str, usage: Path | None) -> tuple[Costed, str]:
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.migrate.cost import cost as compare
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.migrate.progress import next_step
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=True) as console, open_session(context.fleet) as session:
        place = open_place(session, name, console)
        return compare(place, usage), next_step(place)
