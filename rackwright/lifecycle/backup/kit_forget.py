"""Forget old kits, by ID and after a look at all of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from rackwright.errors import HostError
from rackwright.fleet.sections.backup import KIT
from rackwright.lifecycle.backup.forget_plan import plan_forget
from rackwright.lifecycle.backup.restic_here import Restic
from rackwright.lifecycle.backup.restic_locks import patiently
from rackwright.lifecycle.backup.snapshot_list import all_snapshots, snapshot_ids
from rackwright.lifecycle.backup.snapshots import Snapshot

PATIENCE = 120
"""How many seconds restic waits for a lock: another operator's kit takes seconds."""
_SECONDS = 3600
_MOST = 500
"""Kits that one run removes: Linux limits the length of a command, and the next run removes more."""


def is_kit(snapshot: Snapshot) -> bool:
    """Return whether rackwright made it as a kit, by what the snapshot says about itself."""
    return snapshot.hostname == KIT and "rackwright" in (snapshot.tags or ())


def forget_kits(restic: Restic, keep: timedelta, now: datetime) -> str | None:
    """Remove kits that are older than the newest one by `keep`; return why they could not be removed.

    Kits with the CA's key are a group of their own, so that no kit without it ever pushes out the last one. If one is
    dated in the future, none is removed: by its date, all others would be old.
    """
    try:
        return _forgotten(restic, keep, now)
    except HostError as error:
        return f"old kits stay: {' '.join(error.problems[0].what.split())[:300]}"


def _forgotten(restic: Restic, keep: timedelta, now: datetime) -> str | None:
    plan = plan_forget(KIT, filter(is_kit, all_snapshots(restic)), keep, now)
    if plan.suspects:
        more = f", and {len(plan.suspects) - 1} more" if len(plan.suspects) > 1 else ""
        return f"old kits stay: {plan.suspects[0].line}{more}; if no operator made it, remove it by its ID"
    gone = [one.id for one in plan.goes[:_MOST]]
    if not gone:
        return None
    patiently(restic, "forget", "-q", *gone, timeout=_SECONDS, patience=PATIENCE)
    # restic returns 0 even if every deletion was refused.
    if snapshot_ids(restic) & {*gone}:
        return "old kits stay: their deletion was refused"
    patiently(restic, "prune", "-q", timeout=_SECONDS, patience=PATIENCE).check("pruning")
    return None
