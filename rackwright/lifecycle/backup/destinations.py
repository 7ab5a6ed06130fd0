"""Host and repository of each backup."""

from __future__ import annotations

from rackwright.errors import UsageError
from rackwright.lifecycle.session.session import Session

Place = tuple[str, str]
"""Host and repository."""


def places(session: Session, to: str | None = None) -> tuple[Place, ...]:
    """Return host and repository of every backup of the session's hosts, or only of those in one repository.

    Raise UsageError if there is none.
    """
    saved = {name: spec.backup.repositories for name, spec in session.hosts.items() if spec.backup}
    if not saved:
        raise UsageError(
            "the fleet file sets no backup for these hosts", where="backup", should="this command needs one"
        )
    known = tuple(dict.fromkeys(repository.name for some in saved.values() for repository in some))
    if to is not None and to not in known:
        raise UsageError("no repository of that name", where=to, should=f"should be one of {', '.join(known)}")
    return tuple(
        (name, repository.name)
        for name, some in saved.items()
        for repository in some
        if to in (None, repository.name)
    )
