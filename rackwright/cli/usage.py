"""`rackwright usage`: who used how much."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode, UsageError


@click.command(cls=Command)
@click.option(
    "--by",
    type=click.Choice(["day", "key", "owner", "model"]),
    multiple=True,
    default=("key",),
    show_default=True,
    help="What to add up by; may be repeated.",
)
@click.option(
    "--since", metavar="12h|DATE", default="30d", show_default=True, help="From the beginning of this day on (UTC)."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with a header.")
@common_options
@pass_context
def usage(context: Context, by: tuple[str, ...], since: str, as_csv: bool) -> int:
    """Show requests, tokens and times by key, owner, model or day.

    Adds up the access logs of all gateways. Days are kept for 400 days. Requests whose line was lost are counted
    as lost, as far as they are known. Exit code 3 if a gateway can't be asked.
    """
    if as_csv and context.json:
        raise UsageError("--csv and --json are both given", should="should be one of them")
    hosts_needed()
    from rackwright.cli.render.usage_text import as_text, csv_text, document, notes
    from rackwright.lifecycle.audit import since as moment
    from rackwright.lifecycle.usage import usage as read

    when = moment(since).date()
    found, by = read(context.fleet, when), tuple(dict.fromkeys(by))
    for error in found.unasked.values():
        for problem in error.problems:
            context.note(*problem.lines())
    for line in notes(found):
        context.note(line)
    context.answer(document(found, by, when), *(csv_text(found, by) if as_csv else as_text(found, by, when)))
    return ExitCode.HOSTS_FAILED if found.unasked else ExitCode.DONE
