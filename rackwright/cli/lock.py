"""`rackwright lock`: resolve what should run, down to the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Command, common_options, confirm, pass_context, yes_option
from rackwright.errors import UsageError

if TYPE_CHECKING:
    from rackwright.fleet.lock import Lock
    from rackwright.values.file import File


@click.command(cls=Command)
@click.option("--upgrade", is_flag=True, help="Also resolve again what is already locked: a branch may have moved.")
@click.option("--applied", is_flag=True, help="Take the lock that was applied last, from the control hosts.")
@yes_option
@common_options
@pass_context
def lock(context: Context, upgrade: bool, applied: bool, yes: bool) -> None:
    """Resolve models, runtimes, drivers and ports into the lock.

    Every file gets its URL, size and sha256, and every replica its port. Hosts are asked which packages their driver
    needs. Entries that still match the fleet file stay as they are. Commit the lock: apply uses nothing else.

    With --applied, nothing is resolved: the command shows how the applied lock differs from yours, asks, and writes
    it. A lock of yours with changes that the applied one lacks is refused.
    """
    if applied:
        _applied(context, upgrade, yes)
    else:
        _resolved(context, upgrade)


def _applied(context: Context, upgrade: bool, yes: bool) -> None:
    """Replace the lock by the one that was applied last."""
    if upgrade:
        raise UsageError("--applied resolves nothing, so it can't upgrade", should="give one of them")
    hosts_needed()
    from rackwright.cli.common.commit import remind_to_commit
    from rackwright.lifecycle.lock.applied_lock import compare_lock, fetch_applied, write_applied_lock
    from rackwright.state.formats import stamp

    found = compare_lock(context.fleet, fetch_applied(context.fleet))
    changed = bool(found.difference)
    if changed:
        context.note(*found.difference)
        confirm(f"Write this lock to {found.path}, {found.said}?", yes=yes)
        write_applied_lock(found)
    document: Json = {
        "lock": str(found.path),
        "changed": changed,
        "run": found.about.run,
        "applied_by": found.about.who,
        "applied": stamp(found.about.when),
        "commit": found.about.commit,
    }
    context.answer(document, f"{found.path} {'written' if changed else 'is the applied lock'}: {found.said}")
    if changed:
        remind_to_commit(context)


def _resolved(context: Context, upgrade: bool) -> None:
    """Resolve what the fleet file leaves open, and write the lock."""
    if context.fleet.file.drivers:
        hosts_needed()
    from rackwright.fleet.lock_file import read_lock, require_sound, write_lock
    from rackwright.lifecycle.lock.procedure import lock as resolve
    from rackwright.report.live import Live

    path = context.fleet.sibling("lock")
    before = read_lock(path) if path.exists() else None
    with Live(quiet=context.json) as live:
        after = resolve(context.fleet, before, upgrade=upgrade, on_progress=live.transfer)
    require_sound(path, after)
    changed = after != before
    if changed:
        write_lock(path, after)
    document: Json = {
        "lock": str(path),
        "changed": changed,
        "models": _digests(after),
        "bytes": _bytes(after),
        "unknown": dict(_unknown(after)),
    }
    context.answer(document, *_lines(str(path), before, after))


def _lines(path: str, before: Lock | None, after: Lock) -> list[str]:
    from rackwright.report.words import counted, size

    if after == before:
        return [f"{path} already matches the fleet file"]
    old, new = (_digests(before) if before else {}), _digests(after)
    lines = [f"{name}: {old[name][:16] if name in old else 'new'} → {new[name][:16]}" for name in _changed(old, new)]
    lines += [f"{name}: no longer needed" for name in old if name not in new]
    lines += [f"{name}: rackwright fit can't tell whether it fits: {why}" for name, why in _unknown(after)]
    files = counted(len(_files(after)), "file")
    lines.append(f"{path} written: {counted(len(after.models), 'model')}, {files}, {size(_bytes(after))}")
    return lines


def _unknown(lock: Lock) -> Iterator[tuple[str, str]]:
    """Yield each model whose need of memory is unknown, and why."""
    for name, model in lock.models.items():
        if model.shape is None:
            yield name, "its files couldn't be read in parts"
        elif model.shape.unknown:
            yield name, model.shape.unknown


def _changed(old: dict[str, str], new: dict[str, str]) -> list[str]:
    return [name for name, digest in new.items() if old.get(name) != digest]


def _digests(lock: Lock) -> dict[str, str]:
    models = {name: model.digest for name, model in lock.models.items()}
    adapters = {
        f"adapter {served} of {name}": adapter.digest
        for name, model in lock.models.items()
        for served, adapter in model.adapters.items()
    }
    runtimes = {name: runtime.digest for name, runtime in lock.runtimes.items()}
    drivers = {
        f"driver {driver.version} with kernel {driver.kernel} of {', '.join(driver.hosts)}": driver.set.digest
        for driver in lock.drivers.values()
    }
    tool = {"tool": lock.tool.version} if lock.tool else {}
    return models | adapters | runtimes | drivers | tool


def _bytes(lock: Lock) -> int:
    return sum(model.bytes for model in lock.models.values())


def _files(lock: Lock) -> list[File]:
    return [file for model in lock.models.values() for one in model.whole for file in one.files]
