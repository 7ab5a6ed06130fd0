"""`rackwright backup show`: which snapshot would be restored, and what it contains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rackwright.cli.backup.options import at_option, from_option
from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context

if TYPE_CHECKING:
    from rackwright.lifecycle.backup.contents import Contents, Summary


@click.command(cls=Command)
@click.argument("host")
@click.argument("path", required=False)
@at_option
@from_option
@common_options
@pass_context
def show(context: Context, host: str, path: str | None, at: str | None, only: str | None) -> None:
    """Show a host's snapshot: its age and author, and the files below PATH, or a summary.

    It shows the newest snapshot that can be trusted, and what was passed over. The host may be gone. Exit code 1 if
    PATH isn't in the snapshot, 3 if no repository can be read.
    """
    hosts_needed()
    from rackwright.cli.render.chosen_text import chosen_document, chosen_line, passed_lines
    from rackwright.lifecycle.backup.at import wanted_at
    from rackwright.lifecycle.backup.contents import clean, contents, summary
    from rackwright.lifecycle.backup.look import read_chosen, repositories_of
    from rackwright.state.formats import utc_now

    now = utc_now()
    wanted = wanted_at(at, context.fleet.file.timezone, now)
    below = clean(path) if path else None
    with repositories_of(context.fleet, host, only) as ways:
        found: Contents | Summary
        chosen, found = read_chosen(
            ways, context.fleet, lambda one: contents(one, below) if below else summary(one), wanted
        )
    age = int((now - chosen.snapshot.time).total_seconds())
    shown = _document(found)
    lines = [chosen_line(chosen, age), *passed_lines(chosen), *_lines(found)]
    context.answer({**chosen_document(chosen, age), "path": below, **shown}, *lines)


def _document(found: Contents | Summary) -> dict[str, Json]:
    from rackwright.lifecycle.backup.contents import Contents

    if isinstance(found, Contents):
        keys = {"path", "type", "size", "mtime", "permissions"}
        entries: list[Json] = [one.model_dump(mode="json", include=keys) for one in found.entries]
        return {"entries": entries, "cut": found.cut}
    folders: list[Json] = [{"path": one.path, "files": one.files, "bytes": one.bytes} for one in found.folders]
    return {"folders": folders, "cut": found.cut}


def _lines(found: Contents | Summary) -> Iterator[str]:
    from rackwright.cli.render.table import table
    from rackwright.lifecycle.backup.contents import Contents
    from rackwright.report.words import size

    if isinstance(found, Contents):
        rows: list[tuple[str, ...]] = [("MODE", "SIZE", "CHANGED", "PATH")]
        for one in found.entries:
            changed = f"{one.mtime:%Y-%m-%d %H:%M}" if one.mtime else "-"
            rows.append((one.permissions, size(one.size), changed, one.path))
    else:
        rows = [("FILES", "SIZE", "FOLDER")]
        rows += [(str(one.files), size(one.bytes), one.path) for one in found.folders]
    yield from table(rows)
    if found.cut:
        yield "cut here: there is more; name a folder further down"
