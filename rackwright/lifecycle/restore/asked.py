"""What an operator asks a restore for."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.backup.at import NEWEST, At, wanted_at
from rackwright.state.formats import utc_now

STATE, KEYS, MODELS = "state", "keys", "models"
WHAT = (STATE, KEYS, MODELS)


@dataclass(frozen=True)
class Asked:
    what: tuple[str, ...] = WHAT
    at: At = NEWEST
    repository: str | None = None
    """The only one to use; None: the first that can be used."""
    serving: tuple[str, ...] = ()
    """Hosts that may be restored although they serve, for scripts."""


def is_url(text: str) -> bool:
    """Return whether --from gives a place, not the name of a repository."""
    return ":" in text or "/" in text


def asked_for(fleet: Fleet, *, at: str | None, repository: str | None, what: str, serving: tuple[str, ...]) -> Asked:
    """Return what the options of the command ask for. Raise UsageError if one of them isn't valid."""
    parts = tuple(part for part in what.split(",") if part)
    if wrong := [part for part in parts if part not in WHAT]:
        raise UsageError("no such part", where=f"--what {wrong[0]}", should=f"should be some of {', '.join(WHAT)}")
    if not parts:
        raise UsageError("is empty", where="--what", should=f"should be some of {', '.join(WHAT)}")
    return Asked(parts, wanted_at(at, fleet.file.timezone, utc_now()), repository, serving)
