"""`rackwright migrate import`: requests from logs that exist already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rackwright.migrate.importing.found import Format, Imported

FORMATS = ("jsonl", "openai", "litellm", "har")


@click.command("import", cls=Command)
@click.argument("name")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format", type=click.Choice(FORMATS), help="The format of the files; otherwise each item shows its own."
)
@common_options
@pass_context
def import_(context: Context, name: str, files: tuple[Path, ...], format: Format | None) -> None:
    """Add the requests in logs to the recorded ones.

    Personal data is replaced, and the folder of the migration NAME gets the requests encrypted. A FILE has lines of
    JSON (request bodies, or batch input), OpenAI's stored chat completions, LiteLLM's log, or an HTTP archive (HAR);
    gzip is unpacked. Answers aren't kept, token counts are. What can't be used is skipped and
    counted. The same import can be repeated: a request is never added twice.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.migrate.importing import import_logs
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=True) as console, open_session(context.fleet) as session:
        place = open_place(session, name, console)
        imported = import_logs(place, files, format)
    context.answer(imported.model_dump(mode="json"), *_text(imported, name, place.plan.models))


def _text(imported: Imported, name: str, models: Mapping[str, str]) -> Iterator[str]:
    from rackwright.report.words import counted

    yield f"{counted(imported.kept, 'request')} added, of {imported.read:,} read in {counted(imported.files, 'file')}"
    for reason, number in imported.skipped.items():
        yield f"  skipped, {reason}: {number:,}, the first is {imported.first_skipped[reason]}"
    for model, number in imported.models.items():
        yield f"  {model} → {models.get(model, 'not in the plan')}: {number:,}"
    replaced = ", ".join(f"{kind} {number:,}" for kind, number in imported.personal.items())
    yield f"personal data replaced: {replaced}" if replaced else "no personal data found"
    if imported.undated:
        text = f"{counted(imported.undated, 'request')} without a time of arrival: `migrate capacity` can't use "
        yield text + ("it" if imported.undated == 1 else "them")
    yield f"next: rackwright migrate assess {name}"
