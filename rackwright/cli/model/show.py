"""`rackwright model show`: show everything about one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.names import MODEL
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode, FleetError, Problem

if TYPE_CHECKING:
    from rackwright.fleet.lock import ModelLock
    from rackwright.lifecycle.running_versions import Running


@click.command(cls=Command)
@click.argument("name", type=MODEL)
@click.option("--offline", is_flag=True, help="Don't ask the hosts what the replicas run.")
@common_options
@pass_context
def show(context: Context, name: str, offline: bool) -> int:
    """Show a model: its entry in the lock with all files, and what each of its replicas runs.

    Exit code 3 if a host doesn't answer.
    """
    if not offline:
        hosts_needed()
    from rackwright.cli.render.model_text import model_document, model_text

    entry = _locked(context, name)
    replicas = () if offline else _running(context, name)
    asked = context.fleet.file.models[name]
    document = {**model_document(asked, name, entry), "replicas": [asdict(one) for one in replicas]}
    context.answer(document, *model_text(asked, name, entry, replicas))
    return ExitCode.HOSTS_FAILED if any(one.unreachable for one in replicas) else ExitCode.DONE


def _locked(context: Context, name: str) -> ModelLock:
    from rackwright.fleet.lock_file import read_lock
    from rackwright.fleet.naming import unknown_model

    if name not in context.fleet.file.models:
        raise unknown_model(context.fleet, name)
    path = context.fleet.sibling("lock")
    entry = read_lock(path).models.get(name)
    if entry is None:
        raise FleetError([Problem(f"{path} models.{name}", "is in the fleet file only", next="rackwright lock")])
    return entry


def _running(context: Context, name: str) -> Sequence[Running]:
    from rackwright.lifecycle.running_versions import running

    return running(context.fleet, name)
