"""Which results no longer hold: a key of the plan that they depend on has changed, or there are newer records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.plan.plan_keys import key_digests
from rackwright.state.migrations import Entry, Log, Step
from rackwright.values.text import enumerated

RESULTS: tuple[Step, ...] = ("assess", "replay", "score", "capacity", "cost")
"""The steps with a result, in their order."""
RECORDS: tuple[Step, ...] = ("capture", "import", "erase")
"""The steps that change which requests are recorded."""
KEYS: Mapping[str, tuple[str, ...]] = {
    "capture": ("cloud", "models", "records.redact", "records.recipient"),
    "import": ("models", "records.redact", "records.recipient"),
    "assess": ("cloud", "models", "waivers"),
    "replay": ("cloud", "models", "replay.sample"),
    "score": ("cloud", "models", "score"),
    "capacity": ("models", "capacity", "capture.share"),
    "cost": ("models", "currency", "prices", "costs", "capture.share"),
    "export": ("cloud", "provider.url", "records.recipient"),
}
"""Step → the keys of the plan that its result depends on; a key stands for all keys below it, too."""
FOLLOWS: Mapping[str, tuple[Step, ...]] = {
    "assess": RECORDS,
    "replay": RECORDS,
    "score": ("replay", "erase"),
    "capacity": RECORDS,
    "cost": (*RECORDS, "capacity"),
}
"""Step → the steps after which its result is older than what it was made from."""


@dataclass(frozen=True)
class Stale:
    """A result that no longer holds."""

    entry: Entry
    why: tuple[str, ...]


def stale(log: Log, plan: Plan) -> tuple[Stale, ...]:
    """Return what no longer holds of the newest step of each kind, in the order of the steps."""
    found = (newest(log, step) for step in KEYS)
    reasons = ((entry, (*_changed_keys(entry, plan), *_newer(log, entry))) for entry in found if entry)
    return tuple(Stale(entry, why) for entry, why in reasons if why)


def newest(log: Log, step: str) -> Entry | None:
    """Return the newest entry that counts: of a step with a result, the newest that has one."""
    return next(
        (one for one in reversed(log.entries) if one.step == step and (one.result or step not in RESULTS)), None
    )


def has_records(log: Log) -> bool:
    """Return whether requests were recorded: a capture or an import has changed the folder."""
    return any(entry.step in ("capture", "import") and _has_new_files(log, entry) for entry in log.entries)


def changed_keys(entry: Entry, now: Mapping[str, str]) -> tuple[str, ...]:
    """Return which of the keys that the step depends on have other digests now than in the entry."""
    watched = KEYS.get(entry.step, ())
    changed = (key for key in {*now, *entry.keys} if now.get(key) != entry.keys.get(key))
    return tuple(sorted(key for key in changed if any(key == one or key.startswith(f"{one}.") for one in watched)))


def _changed_keys(entry: Entry, plan: Plan) -> Iterator[str]:
    # What is recorded stays recorded: only erasing it and recording it again follows a change.
    if changed := changed_keys(entry, key_digests(plan)):
        yield f"{enumerated(changed)} changed in the plan"


def _newer(log: Log, entry: Entry) -> Iterator[str]:
    for step in FOLLOWS.get(entry.step, ()):
        later = [
            one
            for one in log.entries[entry.number :]
            if one.step == step and (_has_new_files(log, one) if step in RECORDS else one.result)
        ]
        if later:
            yield f"{later[-1].step} of {later[-1].time:%Y-%m-%d %H:%M} UTC is newer (entry {later[-1].number})"


def _has_new_files(log: Log, entry: Entry) -> bool:
    """Return whether the folder had other files after the step than in the entry before that knows one."""
    before = next((one.manifest for one in reversed(log.entries[: entry.number - 1]) if one.manifest), None)
    return entry.manifest is not None and entry.manifest != before
