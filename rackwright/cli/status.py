"""`rackwright status`: show models, replicas, traffic, and what is pending."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, limit_option, pass_context
from rackwright.cli.render.table import table
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rackwright.lifecycle.session.session import Session
    from rackwright.lifecycle.status.parts import Status

HEADER = ("REPLICA", "STATE", "TRAFFIC", "IN FLIGHT", "CACHE HITS", "VERSION", "STARTED", "PENDING")


@click.command(cls=Command)
@click.option("--watch", is_flag=True, help="Refresh every two seconds, until Ctrl-C.")
@limit_option
@common_options
@pass_context
def status(context: Context, watch: bool, limit: tuple[str, ...]) -> int:
    """Show models, replicas and what is pending.

    Reads only. Exit code 12 if a host doesn't answer, a replica gets no requests although it wasn't drained manually,
    a gateway doesn't reach a cloud, a cloud had to answer in the fleet's place, or a backup is late or has failed, or
    its timer doesn't run.
    """
    hosts_needed()
    from rackwright.lifecycle.session.session import open_session

    with open_session(context.fleet, limit=limit) as session:
        while watch and not context.json:
            _show(context, session, clear=True)
            time.sleep(2)
        found = _show(context, session, clear=False)
    return ExitCode.DONE if found.healthy else ExitCode.NOT_PROVEN


def _show(context: Context, session: Session, *, clear: bool) -> Status:
    from rackwright.lifecycle.status.procedure import status as look

    found = look(session)
    if clear:
        click.clear()
    document = {
        "hosts": [asdict(host) for host in found.hosts],
        "replicas": [asdict(replica) for replica in found.replicas],
        "gpus": [asdict(gpu) for gpu in found.gpus],
        "backups": [asdict(backup) for backup in found.backups],
        "kits": [asdict(kit) for kit in found.kits],
        "schedules": [asdict(one) for one in found.schedules],
        "clouds": [asdict(one) for one in found.clouds],
        "fallbacks": [asdict(one) for one in found.fallbacks],
        "lease": str(found.lease) if found.lease else None,
        "rollout": found.rollout.detail if found.rollout else None,
        "notes": list(found.notes),
        "warnings": list(found.warnings),
        "healthy": found.healthy,
    }
    context.answer(document, *_lines(found))
    return found


def _backups(found: Status) -> Iterator[str]:
    """Yield one line for all good backups, with the oldest snapshot, then one for each alarm."""
    from rackwright.roles.backup.state import ages

    well = [backup for backup in found.backups if not backup.alarms]
    if well:
        oldest = max(well, key=lambda backup: backup.snapshot_age or 0)
        checked = [backup.check_age for backup in well]
        check = None if None in checked else max(age for age in checked if age is not None)
        yield f"backups: {len(well)} of {len(found.backups)} good; the oldest: {ages(oldest.snapshot_age, check)}"
    for backup in found.backups:
        yield from (f"backup {backup.host} to {backup.repository}: {alarm}" for alarm in backup.alarms)


def _kits(found: Status) -> Iterator[str]:
    """Yield a line for each kit; the warnings name those that are missing."""
    from rackwright.roles.backup.state import age

    for kit in found.kits:
        if kit.age is not None:
            key = "with the CA key" if kit.with_ca_key else "without the CA key"
            yield f"kit at {kit.repository}: {age(kit.age)} old, {key}"


def _lines(found: Status) -> list[str]:
    rows = [HEADER]
    for entry in found.replicas:
        flight = "-" if entry.in_flight is None else str(entry.in_flight)
        state = f"{entry.state}: {entry.reason}" if entry.reason else entry.state
        rows.append(
            (
                entry.replica,
                state,
                entry.traffic_text,
                flight,
                entry.cache_text,
                entry.version,
                entry.started_text,
                entry.pending or "-",
            )
        )
    lines = list(table(rows))
    lines += [f"host {host.host}: {host.state}: {host.reason}" for host in found.hosts if host.reason]
    lines += [f"host {host.host}: pending: {host.pending}" for host in found.hosts if host.pending]
    lines += [f"driver {host.host}: {host.driver}" for host in found.hosts if host.driver]
    lines += [f"gpu {gpu.host}/{gpu.index}: {gpu}" for gpu in found.gpus]
    lines += [f"cloud {one.cloud} from {one.gateway}: {one.text}" for one in found.clouds]
    lines += [one.alarm for one in found.fallbacks if one.alarm]
    lines += _backups(found)
    lines += _kits(found)
    lines += [f"schedule {one.text}" for one in found.schedules]
    if found.lease:
        lines.append(f"{'leased by' if found.lease.live else 'expired lease of'} {found.lease}")
    if found.rollout:
        opened = found.rollout
        lines.append(f"rollout open: {opened.detail}, started by {opened.operator}; next: rackwright rollout status")
    return [*lines, *found.notes, *(f"warning: {text}" for text in found.warnings)]
