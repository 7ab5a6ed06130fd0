"""`rackwright backup get`: one file out of a host's snapshot."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from rackwright.cli.backup.options import at_option, from_option
from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import UsageError
from rackwright.terminal import echo_file, on_terminal


@click.command(cls=Command)
@click.argument("host")
@click.argument("path")
@at_option
@from_option
@click.option("-o", "--output", metavar="FILE", help="Write to this new file; - for standard output.")
@common_options
@pass_context
def get(context: Context, host: str, path: str, at: str | None, only: str | None, output: str | None) -> None:
    """Get one file out of a host's snapshot, or a folder as a tar archive.

    It takes the newest snapshot that can be trusted. The host may be gone. The file is written completely or not at
    all. Exit code 1 if PATH isn't in the snapshot, 3 if no repository can be read.
    """
    hosts_needed()
    from rackwright.cli.render.chosen_text import chosen_document, chosen_line, passed_lines
    from rackwright.lifecycle.backup.at import wanted_at
    from rackwright.lifecycle.backup.contents import clean
    from rackwright.lifecycle.backup.fetch import fetch, refuse_existing
    from rackwright.lifecycle.backup.look import read_chosen, repositories_of
    from rackwright.state.formats import utc_now

    target = _target(context, output)
    now, wanted_path = utc_now(), clean(path)
    wanted = wanted_at(at, context.fleet.file.timezone, now)
    with tempfile.TemporaryDirectory(prefix="rackwright-") as folder:
        if target:
            refuse_existing(target)
        # Its ending allows both, because a pipe takes a file as well as an archive.
        written = target or Path(folder) / "content.tar"
        with repositories_of(context.fleet, host, only) as ways:
            chosen, fetched = read_chosen(
                ways, context.fleet, lambda one: fetch(one, wanted_path, written, context.note), wanted
            )
        age = int((now - chosen.snapshot.time).total_seconds())
        context.note(chosen_line(chosen, age), *passed_lines(chosen))
        if target:
            document = {"path": wanted_path, "output": str(target), "kind": fetched.kind, "written": fetched.bytes}
            context.answer({**chosen_document(chosen, age), **document}, str(target))
        else:
            echo_file(written)


def _target(context: Context, output: str | None) -> Path | None:
    """Return the file to write, None for standard output. Raise UsageError if it can't be printed there."""
    if output not in (None, "-"):
        return Path(output)
    if context.json:
        raise UsageError("--json prints a document, not a file", should="should be used with --output FILE")
    if output is None and on_terminal():
        raise UsageError(
            "standard output is a terminal", should="should be used with --output FILE, or --output - to see a text"
        )
    return None
