"""What a shadow round has found, as the control hosts keep it: no text of a request or answer."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.score.result import Scored
from rackwright.values.base import Stored


class Shadowed(Stored):
    """One round: requests that clients have made since a moment, asked of both sides again, and scored."""

    format: str = "migration-shadow/1"
    change: str = ""
    """The cutover's change of the share at that moment; "": there is none."""
    since: float
    """The moment, Unix seconds."""
    until: float
    """When the requests were fetched, Unix seconds."""
    outcome: Outcome
    """What all rounds of the migration have cost, and what this one has asked."""
    scored: Scored | None = None
    """None: the round isn't over."""
    dropped: Mapping[str, int] = {}
    """Why requests of the sample weren't recorded, since the migration's first capture → how many."""
    missed: Mapping[str, str] = {}
    """Gateway → why its requests aren't in this round."""
