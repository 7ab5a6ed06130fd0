"""`rackwright migrate export`: what is stored at the provider."""

from __future__ import annotations

from pathlib import Path

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode, UsageError


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--ids",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also export the responses and conversations whose ids are in FILE, one in each line.",
)
@click.option("--compare", is_flag=True, help="Fetch again what is exported already, and compare it.")
@click.option(
    "--accept", metavar="ID", multiple=True, help="Export the file ID although its content differs; can be repeated."
)
@click.option("--verify", is_flag=True, help="Decrypt the export and compare each content; ask no provider.")
@click.option("--other", is_flag=True, help="Use the export on this machine, or begin one: the known one is lost.")
@common_options
@pass_context
def export(
    context: Context, name: str, ids: Path | None, compare: bool, accept: tuple[str, ...], verify: bool, other: bool
) -> int:
    """Fetch what is stored at the provider, encrypted.

    Gets files, batches, fine-tuning jobs, vector stores and stored chat completions into the folder of the migration
    NAME. Fetches only what is new or changed, as fast as the provider lets you; Ctrl-C stops it, and the same command
    goes on. Exit code 12 if the provider has something that the export lacks, which is listed with the
    reason; with --verify, if a content isn't what was exported.
    """
    if verify and (ids or compare or accept or other):
        raise UsageError("--verify asks no provider", should="leave out the other options")
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.cli.render.migrate_report.export_text import export_lines, verified_lines
    from rackwright.lifecycle.migrate.export import procedure
    from rackwright.lifecycle.migrate.export.opened import export_path
    from rackwright.lifecycle.migrate.export.verification import verify_export
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=True) as console, open_session(context.fleet) as session:
        place = open_place(session, name, console)
        if verify:
            found, exported = verify_export(place)
            done, lines = True, verified_lines(found, exported, name)
        else:
            asked = procedure.Asked(ids, compare, accept, other)
            exported = procedure.export(place, asked)
            done = exported.whole
            lines = export_lines(exported, name, export_path(place.folder), asked.command(name))
    context.answer(exported.model_dump(mode="json"), *lines)
    return ExitCode.DONE if done else ExitCode.NOT_PROVEN
