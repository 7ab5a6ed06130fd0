"""`rackwright model update` and `rollback`: change the version of a model's weights."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.change_lock import Agreed, change_lock
from rackwright.cli.common.context import Context
from rackwright.cli.common.names import MODEL
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
@click.argument("name", type=MODEL)
@click.option("--to", metavar="REVISION", help="This commit, tag or branch of its repository instead.")
@no_canary_option
@change_options
@common_options
@pass_context
def update(context: Context, /, name: str, to: str | None, **agreed: bool) -> None:
    """Bring the model NAME to what its source has now, under traffic.

    Shows what would change and asks. First, the new weights are stored next to the old ones on every host. Then each
    replica in turn is drained, restarted, proven and undrained. If one fails, the rollout is rolled back and the lock
    stays as it was. If all succeed, the new lock becomes the lock: commit it. If the fleet file sets `canary`, the
    first replica must pass before the others follow. Exit code 12 if a proof or the canary fails, or the canary can't
    be judged.
    """
    find = partial(_updated, context.fleet, name, to)
    change_lock(context, f"model update {name}", (name,), find, Agreed(**agreed))


@click.command(cls=Command)
@click.argument("name", type=MODEL)
@change_options
@common_options
@pass_context
def rollback(context: Context, /, name: str, **agreed: bool) -> None:
    """Bring the model NAME back to its previous version, under traffic.

    The previous weights are still on the hosts, so nothing is downloaded. Run it again to undo it. It tries no
    canary, because the previous version is known.
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
