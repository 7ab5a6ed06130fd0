"""`rackwright runtime`: update the runtimes that engines use."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.change_lock import Agreed, change_lock
from rackwright.cli.common.context import Context
from rackwright.cli.common.options import (
    Group,
    change_options,
    common_options,
    no_canary_option,
    pass_context,
)
from rackwright.errors import UsageError

if TYPE_CHECKING:
    from rackwright.fleet.fleet import Fleet
    from rackwright.fleet.lock import Lock
    from rackwright.resolve.web import Progress


@click.group(cls=Group)
def runtime() -> None:
    """Update the runtimes that engines use."""


@runtime.command()
@click.argument("kind", required=False, metavar="[KIND]")
@no_canary_option
@change_options
@common_options
@pass_context
def update(context: Context, /, kind: str | None, **agreed: bool) -> None:
    """Update engines to the runtime versions in the fleet file, of one KIND or of all, under traffic.

    Change `version` in the fleet file first; a different build needs a different version. The new runtime is
    installed next to the old one. Then each replica in turn is drained, restarted, proven and undrained. If one
    fails, the rollout is rolled back and the lock stays as it was. If the fleet file sets `canary` for a model, its
    first replica must pass before the others follow.
    """
    models = context.fleet.file.models
    chosen = tuple(name for name, model in models.items() if kind in (None, model.runtime.kind))
    if not chosen:
        known = ", ".join(sorted({model.runtime.kind for model in models.values()})) or "none"
        raise UsageError(f"no model has a runtime of kind {kind}", should=f"one of {known}")
    find, what = partial(_updated, context.fleet, kind), f"runtime update {kind}" if kind else "runtime update"
    change_lock(context, what, chosen, find, Agreed(**agreed))


def _updated(fleet: Fleet, kind: str | None, before: Lock, progress: Progress) -> Lock:
    from rackwright.resolve.next_lock import updated_runtimes

    return updated_runtimes(fleet, before, kind, on_progress=progress)
