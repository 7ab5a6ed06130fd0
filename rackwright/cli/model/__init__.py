"""`rackwright model`: show models and change their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json
from rackwright.cli.common.options import Group, common_options, pass_context
from rackwright.cli.model import diff, golden, promote, prune, show, update, verdict
from rackwright.cli.render.table import table

if TYPE_CHECKING:
    from rackwright.fleet.fleet import Fleet
    from rackwright.fleet.lock import Lock, ModelLock

HEADER = ("MODEL", "SOURCE", "REVISION", "DIGEST", "SIZE", "LICENSE", "RUNTIME", "REPLICAS", "PREVIOUS")


@click.group(cls=Group)
def model() -> None:
    """Show, update, promote, roll back and prune models.

    Shows what the lock has, what an update would change, what replicas run, and how canaries ended.
    """


@model.command(name="list")
@common_options
@pass_context
def list_(context: Context) -> None:
    """List the models of the fleet file and the lock; asks no host."""
    from rackwright.fleet.lock_file import read_lock

    fleet = context.fleet
    path = fleet.sibling("lock")
    lock = read_lock(path) if path.exists() else None
    locked = {name: lock.models.get(name) if lock else None for name in fleet.file.models}
    rows = [HEADER, *(_row(fleet, name, entry) for name, entry in locked.items())]
    clouds = {name: model.cloud for name, model in fleet.file.routed.items() if model.cloud}
    lines = [*table(rows), *_left(fleet, lock)]
    lines += [f"{name}: clients are answered by the cloud {cloud}" for name, cloud in clouds.items()]
    documents = [_document(fleet, name, entry) for name, entry in locked.items()]
    context.answer({"models": documents, "clouds": clouds}, *lines)


def _row(fleet: Fleet, name: str, entry: ModelLock | None) -> tuple[str, ...]:
    from rackwright.report.words import size

    asked = fleet.file.models[name]
    runtime, replicas = f"{asked.runtime.kind} {asked.runtime.version}", str(len(fleet.replicas_of(name)))
    if entry is None:
        return name, asked.source, "-", "not locked", "-", asked.license or "-", runtime, replicas, "-"
    previous = entry.previous.digest[:16] if entry.previous else "-"
    about = ((entry.revision or "-")[:7], entry.digest[:16], size(entry.bytes), entry.license or "-")
    return name, entry.source, *about, runtime, replicas, previous


def _left(fleet: Fleet, lock: Lock | None) -> list[str]:
    """Return a line for each model that only the lock has, or whose source differs from the lock's."""
    models = lock.models if lock else {}
    gone = [f"{name}: only in the lock; next: rackwright lock" for name in models if name not in fleet.file.models]
    asked = {name: one.source for name, one in fleet.file.models.items() if name in models}
    other = [
        f"{name}: the fleet file asks for {source}; next: rackwright lock"
        for name, source in asked.items()
        if models[name].source != source
    ]
    return gone + other


def _document(fleet: Fleet, name: str, entry: ModelLock | None) -> dict[str, Json]:
    asked = fleet.file.models[name]
    return {
        "model": name,
        "source": entry.source if entry else asked.source,
        "revision": entry.revision if entry else None,
        "digest": entry.digest if entry else None,
        "bytes": entry.bytes if entry else None,
        "license": entry.license if entry else asked.license,
        "runtime": asked.runtime.kind,
        "version": asked.runtime.version,
        "replicas": len(fleet.replicas_of(name)),
        "previous": entry.previous.digest if entry and entry.previous else None,
    }


for _command in (
    show.show,
    diff.diff,
    update.update,
    promote.promote,
    update.rollback,
    verdict.verdict,
    prune.prune,
    golden.golden,
):
    model.add_command(_command)
