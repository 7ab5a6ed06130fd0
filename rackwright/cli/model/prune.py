"""`rackwright model prune`: remove weights that are no longer needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Command, common_options, limit_option, pass_context, yes_option
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.lifecycle.prune.procedure import Pruned


@click.command(cls=Command)
@limit_option
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@yes_option
@common_options
@pass_context
def prune(context: Context, limit: tuple[str, ...], dry_run: bool, yes: bool) -> int:
    """Remove weights that are no longer needed.

    Keeps the versions in the lock, the previous versions, and those that an engine uses; says what stays and why.
    Exit code 3 if a host has more left than it should.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.prune.procedure import prune as carry_out
    from rackwright.lifecycle.session.session import open_session
    from rackwright.report.words import size

    with Console(quiet=context.json, yes=yes) as console, open_session(context.fleet, limit=limit) as session:
        pruned = carry_out(session, console, rehearsed=dry_run)
    for host, problem in pruned.problems.items():
        context.note(f"{host}: {problem}")
    verb = "would be removed" if dry_run else "removed"
    text = f"{verb}: {size(pruned.bytes)}" if pruned.removed else "nothing to remove"
    context.answer(_document(pruned, dry_run=dry_run), text)
    return ExitCode.HOSTS_FAILED if pruned.problems else ExitCode.DONE


def _document(pruned: Pruned, *, dry_run: bool) -> dict[str, Json]:
    removed: list[Json] = [
        {"host": host, "model": one.model, "digest": one.digest, "bytes": one.bytes, "age_seconds": one.age}
        for host, some in pruned.removed.items()
        for one in some
    ]
    kept: list[Json] = [
        {
            "host": host,
            "model": one.weights.model,
            "digest": one.weights.digest,
            "bytes": one.weights.bytes,
            "why": one.why,
        }
        for host, some in pruned.kept.items()
        for one in some
    ]
    left: list[Json] = [{"host": host, "folder": folder} for host, some in pruned.strange.items() for folder in some]
    failed: list[Json] = [{"host": host, "problem": problem} for host, problem in pruned.problems.items()]
    return {"dry_run": dry_run, "removed": removed, "kept": kept, "left": left, "failed": failed}
