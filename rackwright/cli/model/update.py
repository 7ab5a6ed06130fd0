"""`rackwright model update` and `rollback`: another version of a model's weights, and the way back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.change_lock import Agreed, change_lock
from rackwright.cli.common.context import Context
from rackwright.cli.common.options import (
    Command,
    change_options,
    common_options,
    no_canary_option,
    pass_context,
)

if TYPE_CHECKING:
    from rackwright.fleet.fleet import Fleet
    from rackwright.fleet.lock import Lock
    from rackwright.resolve.web import Progress


@click.command(cls=Command)
@click.argument("name")
@click.option("--to", metavar="REVISION", help="This commit, tag or branch of its repository instead.")
@no_canary_option
@change_options
@common_options
@pass_context
def update(context: Context, /, name: str, to: str | None, **agreed: bool) -> None:
    """Bring the model NAME to what its source has now, under traffic.

    Shows what changes and asks. The new weights are put beside the old ones on every host first; then each replica in
    turn is drained, restarted, proven and returned. What fails is put back, and the lock stays as it was. When all
    of it has succeeded the new lock is the lock: commit it. Where the fleet file has a canary, the first replica has
    to stand its test before the others follow. Exit code 12 when it fails, or nobody can tell.
    """
    find = partial(_updated, context.fleet, name, to)
    change_lock(context, f"model update {name}", (name,), find, Agreed(**agreed))


@click.command(cls=Command)
@click.argument("name")
@change_options
@common_options
@pass_context
def rollback(context: Context, /, name: str, **agreed: bool) -> None:
    """Bring the model NAME back to what it was before its last update, under traffic.

    Its weights are still on the hosts: nothing is downloaded. Done again, it is undone. No canary is tried: what ran
    before is known.
    """
    find = partial(_rolled_back, context.fleet, name)
    what = f"model rollback {name}"
    change_lock(context, what, (name,), find, Agreed(**agreed, canary=False))


def _updated(fleet: Fleet, name: str, to: str | None, before: Lock, progress: Progress) -> Lock:
    from rackwright.resolve.next_lock import updated_model

    return updated_model(fleet, before, name, to=to, on_progress=progress)


def _rolled_back(fleet: Fleet, name: str, before: Lock, _: Progress) -> Lock:
    from rackwright.resolve.next_lock import rolled_back

    return rolled_back(fleet, before, name)
