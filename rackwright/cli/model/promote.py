"""`rackwright model promote`: bring a model to the version that another fleet has proven."""

from __future__ import annotations

from functools import partial
from pathlib import Path
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
@click.option(
    "--from",
    "source",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="The fleet file of the site where the version is proven.",
)
@no_canary_option
@change_options
@common_options
@pass_context
def promote(context: Context, /, name: str, source: Path, **agreed: bool) -> None:
    """Bring the model NAME to the version that another fleet has proven, under traffic.

    Takes the model's entry from that fleet's lock, if its control host has recorded that an engine answered with it.
    Then it works like `model update`: it shows what would change, asks, tries a canary if the fleet file sets one,
    and makes the new lock the lock when all replicas run it. Nothing changes at the other site.
    """
    find = partial(_promoted, context.fleet, name, source)
    what = f"model promote {name} --from {source.name}"
    change_lock(context, what, (name,), find, Agreed(**agreed))


def _promoted(fleet: Fleet, name: str, source: Path, before: Lock, _: Progress) -> Lock:
    from rackwright.lifecycle.update.other_fleet import proven_by
    from rackwright.resolve.next_lock import promoted_model, require_model

    require_model(fleet, before, name)
    proven = proven_by(source, name)
    hub, by = proven.fleet.file.downloads.hub, proven.golden.kind
    return promoted_model(fleet, before, name, proven.lock, hub=hub, runtime=by.runtime, build=by.build)
