"""What an export has done: the result of the step, without contents and names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from rackwright.migrate.export.export_line import Why
from rackwright.values.base import Stored
from rackwright.values.text import Sha256

MOST_MISSING = 200
"""Missing objects that the result names; the list has all of them."""
Count = Annotated[int, Field(ge=0)]


class KindCount(Stored):
    """One kind of objects."""

    listed: Count = 0
    """At the provider, by this run."""
    new: Count = 0
    changed: Count = 0
    same: Count = 0
    """They were in the export already."""
    missing: Count = 0
    gone: Count = 0
    """The provider doesn't list them any more; what was exported of them stays."""
    bytes: Count = 0
    """Fetched by this run."""


class Missing(Stored):
    kind: str
    id: str
    why: Why
    reason: str


class Exported(Stored):
    format: str = "migration-export/1"
    host: str
    """Where it was asked."""
    kinds: Mapping[str, KindCount] = {}
    missing: tuple[Missing, ...] = ()
    """The first ones of this run."""
    unlisted: Mapping[str, str] = {}
    """Kind that wasn't listed to its end → why."""
    not_offered: tuple[str, ...] = ()
    """Kinds that this provider doesn't have."""
    damaged: Count = 0
    """Files of the export that were missing or changed before this run."""
    whole: bool = False
    """Whether everything that the provider stores, and that it hands out at all, is in the export."""
    stopped: str = ""
    """Why the run ended early; "": it didn't."""
    objects: Count = 0
    """In the export."""
    list_bytes: Count
    list_sha256: Sha256
    """Of the first `list_bytes` of the list, which only grows."""
    verified: float | None = None
    """When all of this was decrypted and compared, Unix seconds; None: not since the run."""

    @property
    def line(self) -> str:
        """Return it in one line, for the log."""
        counts = {
            name: sum(getattr(one, name) for one in self.kinds.values()) for name in ("new", "changed", "missing")
        }
        text = ", ".join(f"{number:,} {name}" for name, number in counts.items() if number or name == "new")
        text += f"; {self.objects:,} objects in the export, {'whole' if self.whole else 'not whole'}"
        return f"{text}; stopped: {self.stopped}" if self.stopped else text
