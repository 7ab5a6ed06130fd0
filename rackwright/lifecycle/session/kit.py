"""Whether the kit is due: decided without asking a repository, because every apply asks it."""

from __future__ import annotations

from rackwright.errors import SecretError
from rackwright.fleet.backup_access import kit_repositories
from rackwright.fleet.ca import ca_of
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.session.control_host import any_control_host
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey
from rackwright.state.kit import KnownKit, SavedKit, kit_digest, newest, read_kit


def surveyed_kit(fleet: Fleet, surveyed: Survey) -> KnownKit | None:
    """Return what the control hosts of the survey know about the kit; None if it has no control host.

    Other hosts aren't believed: a former control host has an old record.
    """
    found = [surveyed.hosts[name].kit for name in fleet.control if name in surveyed.hosts]
    return newest(found) if found else None


def due_kits(session: Session, surveyed: Survey, applied: str | None) -> tuple[str, ...]:
    """Return the repositories whose kit lacks something that this machine has.

    `applied`: the run that has just been recorded as the last apply; None: the last one is still the last one. Raise
    HostError if a control host must be asked and none can be, OSError if a file of the fleet can't be read.
    """
    fleet = session.fleet
    names = kit_repositories(fleet)
    if not names:
        return ()
    known = surveyed_kit(fleet, surveyed) or read_kit(any_control_host(session.remote, fleet))
    digest, last = kit_digest(fleet), applied or known.applied
    return tuple(name for name in names if _lacks(fleet, known.record.at.get(name), digest, last))


def _lacks(fleet: Fleet, saved: SavedKit | None, digest: str, last: str | None) -> bool:
    if saved is None or (saved.digest, saved.applied) != (digest, last):
        return True
    return not saved.with_ca_key and has_ca_key(fleet)


def has_ca_key(fleet: Fleet) -> bool:
    """Return whether this machine has the CA's private key."""
    try:
        ca_of(fleet).private_key()
    except SecretError:
        return False
    return True
