"""Backups and kits, as the hosts recorded them. No repository is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rackwright.fleet.backup_access import kit_repositories
from rackwright.lifecycle.session.kit import surveyed_kit
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey
from rackwright.lifecycle.status.parts import BackupStatus, KitStatus
from rackwright.state.formats import stamp


def backups(session: Session, surveyed: Survey) -> Iterator[BackupStatus]:
    for name, host in surveyed.hosts.items():
        backup = session.hosts[name].backup
        for repository in backup.saving if backup else ():
            state = host.backup.of(repository)
            yield BackupStatus(
                host=name,
                repository=repository.name,
                snapshot=state.snapshot,
                snapshot_age=state.snapshot_age,
                files=state.files,
                bytes=state.bytes,
                check_age=state.check_age,
                running=state.running,
                alarms=state.alarms,
            )


def kits(session: Session, surveyed: Survey, now: datetime) -> Iterator[KitStatus]:
    known = surveyed_kit(session.fleet, surveyed)
    if known is None:
        return
    for name in kit_repositories(session.fleet):
        saved = known.record.at.get(name)
        if saved is None:
            yield KitStatus(name, None, None, None, None, None)
        else:
            age = max(int((now - saved.when).total_seconds()), 0)
            current = None if known.applied is None else saved.applied == known.applied
            yield KitStatus(name, saved.snapshot, stamp(saved.when), age, saved.with_ca_key, current)
