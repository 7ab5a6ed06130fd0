"""`rackwright backup kit`: what a new controller needs to restore the fleet, saved from this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.backup.options import to_option
from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context

if TYPE_CHECKING:
    from rackwright.lifecycle.backup.kit import Made


@click.command(cls=Command)
@to_option
@common_options
@pass_context
def kit(context: Context, to: str | None) -> None:
    """Save the kit now: the fleet's folder with its history, the CA's private key, and a list of all other secrets.

    Each sftp and rest repository gets it, under a password that no host has. apply, updates and `key` also save it.
    Exit code 3 if a repository has no new kit.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.fleet.targets import targets
    from rackwright.lifecycle.backup.kit import repositories_of, save_kits
    from rackwright.remote import Remote

    fleet = context.fleet
    wanted, without = repositories_of(fleet, to)
    with (
        Console(quiet=context.json, yes=True) as console,
        Remote(targets(fleet, fleet.control)) as remote,
    ):
        kits = save_kits(fleet, remote, wanted, console)
    for name in without:
        context.note(f"{name} has no kit: it is on the hosts' own disks, which this machine can't reach")
    if kits.warnings:
        context.note(*kits.warnings)
    good = [one for one in kits.made if one.saved and not one.problem]
    document: Json = {
        "kits": [_document(one) for one in kits.made],
        "without": list(without),
        "left_out": list(kits.left_out),
        "no_ca_key": kits.no_ca_key,
        "good": len(good),
        "failed": len(kits.made) - len(good),
    }
    context.answer(document, *map(_line, kits.made), f"{len(good)} of {len(kits.made)} good")
    if kits.error:
        raise kits.error


def _document(one: Made) -> Json:
    saved = one.saved
    return {
        "repository": one.repository,
        "snapshot": saved.snapshot if saved else None,
        "files": saved.files if saved else None,
        "bytes": saved.bytes if saved else None,
        "with_ca_key": saved.with_ca_key if saved else None,
        "problem": one.problem.what if one.problem else None,
    }


def _line(one: Made) -> str:
    from rackwright.report.words import size

    place, saved = f"kit to {one.repository}", one.saved
    if saved is None or one.problem:
        return f"FAIL {place}: {one.problem.what if one.problem else 'nothing was saved'}"
    return f"ok   {place}: {saved.snapshot[:8]}, {saved.files} files, {size(saved.bytes)}"
