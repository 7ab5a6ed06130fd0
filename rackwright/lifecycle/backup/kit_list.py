"""The kits that the repositories have, asked from this machine."""

from __future__ import annotations

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.backup_access import kit_repositories, reached_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.backup import KIT
from rackwright.lifecycle.backup.destinations import Place
from rackwright.lifecycle.backup.kit import repositories_of
from rackwright.lifecycle.backup.refusal import reason
from rackwright.lifecycle.backup.restic_here import restic_here
from rackwright.lifecycle.backup.snapshot_list import SnapshotList, read_list
from rackwright.lifecycle.backup.snapshots import Listed
from rackwright.state.formats import stamp


def kits_listed(fleet: Fleet, to: str | None, *, asked_for: bool) -> tuple[tuple[Listed, ...], dict[Place, str]]:
    """Return the kits of all repositories, or of one, oldest first; and for each repository that failed the reason.

    `asked_for`: raise UsageError if no repository can have a kit; else there are none.
    """
    names = repositories_of(fleet, to)[0] if asked_for else kit_repositories(fleet)
    found: list[Listed] = []
    problems: dict[Place, str] = {}
    for name in (name for name in names if to in (None, name)):
        try:
            listed = _list(fleet, name)
        except RackwrightError as error:
            problems[KIT, name] = error.problems[0].what
            continue
        found += [
            Listed(KIT, name, one.id, stamp(one.time), one.author, one.files, one.bytes)
            for one in reversed(listed.snapshots)
        ]
        if listed.unreadable:
            problems[KIT, name] = "; ".join(f"{id[:8]} {why}" for id, why in listed.unreadable.items())
    return tuple(found), problems


def _list(fleet: Fleet, name: str) -> SnapshotList:
    with restic_here(*reached_from_here(fleet, KIT, name)) as restic:
        answer = restic("snapshots", "--json", "--no-lock")
    if not answer.ok:
        raise HostError(reason(answer), where=name)
    return read_list(answer, name)
