"""`rackwright model diff`: show what an update would change."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context
from rackwright.cli.common.names import MODEL
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode


@click.command(cls=Command)
@click.argument("name", type=MODEL)
@click.option("--to", metavar="REVISION", help="A branch, tag or commit of its hub repository.")
@click.option("--check", is_flag=True, help="Exit with 4 if something would change.")
@common_options
@pass_context
def diff(context: Context, name: str, to: str | None, check: bool) -> int:
    """Show what an update of a model would change; change nothing.

    Compares the lock with what the model's source has now, or at REVISION. Asks the source, but no host.
    """
    from rackwright.cli.render.model_text import difference_document, difference_text
    from rackwright.fleet.lock_file import read_lock
    from rackwright.lifecycle.update.differences import difference
    from rackwright.report.live import Live
    from rackwright.resolve.next_lock import updated_model

    lock = read_lock(context.fleet.sibling("lock"))
    with Live(quiet=context.json) as live:
        after = updated_model(context.fleet, lock, name, to=to, on_progress=live.transfer)
    found = difference(context.fleet, lock.models[name], after.models[name], name)
    runtimes = tuple(key for key in after.runtimes if after.runtimes[key] != lock.runtimes.get(key))
    document = {**difference_document(found), "runtimes": list(runtimes)}
    context.answer(document, *difference_text(found), *(f"  runtime    {key}, new" for key in runtimes))
    return ExitCode.CHANGES_PENDING if check and (found.differs or runtimes) else ExitCode.DONE
