"""How far the end of a migration is, as the migration's log has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from rackwright.values.base import Stored
from rackwright.values.text import Sha256

Count = Annotated[int, Field(ge=0)]
MOST_LEFT = 200
"""Objects that a result names; the list of deletions has all of them."""
Phase = Literal["started", "copied", "deleted", "erased", "removing", "done"]
"""started: the operator has agreed; copied: the export has everything, verified, and objects are being deleted;
deleted: none of them is left; erased: no recorded request is left; removing: the provider's key is being removed;
done: no gateway has it."""
PHASES: tuple[Phase, ...] = ("started", "copied", "deleted", "erased", "removing", "done")


class Reached(Stored):
    """How a provider's management API is reached."""

    cloud: str
    """Its name in the fleet file."""
    url: str
    auth: Literal["bearer", "api-key"]
    ca: str | None = None
    """A file of the fleet's with the CAs that verify it; None: the system's do."""


class QuietTime(Stored):
    """What the gateways' ledgers say of the cloud."""

    at: float
    """When they were read, Unix seconds."""
    since: float
    """From when on all gateways have counted."""
    last: float | None
    """The end of the last hour, or day, with a request that the fleet didn't answer; None: there is none."""
    requests: Mapping[str, Count] = {}
    """Side → how many requests were accepted since then."""
    whole_since: float
    """When the last gateway got the whole share."""
    others: tuple[str, ...] = ()
    """Models outside the migration that a cloud answers. A ledger doesn't have the model, so then only the share
    shows that the cloud had no request."""


class CopyState(Stored):
    """The export, when everything in it was decrypted and compared."""

    at: float
    objects: Count
    list_bytes: Count
    list_sha256: Sha256


class KindEnd(Stored):
    """What became of one kind of objects."""

    copied: Count = 0
    """Objects of which the export has a copy."""
    deleted: Count = 0
    """Their deletion was accepted, and afterwards each was answered with 404."""
    gone: Count = 0
    """They were answered with 404 already."""
    kept: Count = 0
    """They are still there although they should be deleted, or nothing shows that they aren't."""
    uncopied: Count = 0
    """They stay, because nobody has a copy."""
    staying: Count = 0
    """They stay, because the provider has no deletion of this kind."""
    empty: float | None = None
    """When the provider's list had none of what was deleted, Unix seconds; None: it wasn't shown."""


class Left(Stored):
    """An object that the provider still has."""

    kind: str
    id: str
    why: Literal["kept", "uncopied", "new"]
    """new: it wasn't there when the export was made."""
    reason: str = ""


class Erasure(Stored):
    """What `erase` has shown."""

    at: float
    gateways: tuple[str, ...]
    """They list no recorded request."""
    files: Count
    """Removed from the migration's folder."""


class FinishState(Stored):
    format: str = "migration-finish/1"
    phase: Phase
    began: float
    """Unix seconds, like all times here."""
    reached: Reached
    quiet: QuietTime
    copy_state: CopyState | None = None
    kinds: Mapping[str, KindEnd] = {}
    left: tuple[Left, ...] = ()
    """The first ones."""
    unlisted: Mapping[str, str] = {}
    """Kind → why its list couldn't be read to its end."""
    waived: Mapping[str, str] = {}
    """Kind → why objects of it may stay without a copy."""
    deletions_bytes: Count = 0
    deletions_sha256: Sha256 | None = None
    """Of the first `deletions_bytes` of the list of deletions, which only grows."""
    erased: Erasure | None = None
    keys: Mapping[str, float] = {}
    """Gateway → when it had no key of the provider's."""
    others: tuple[str, ...] = ()
    """Models of the fleet that the cloud still answers: then it keeps its key."""
    due: float | None = None
    """When the provider should be asked again; None: nobody does."""
    no_recheck: str = ""
    """Why nobody does."""

    def has(self, phase: Phase) -> bool:
        """Return whether this phase was reached."""
        return PHASES.index(self.phase) >= PHASES.index(phase)

    @property
    def is_open(self) -> bool:
        """Whether something is left that should be deleted, or nothing shows that it is."""
        return bool(self.unlisted) or any(one.why != "uncopied" for one in self.left)


class Rechecked(Stored):
    """The provider was asked again."""

    format: str = "migration-recheck/1"
    at: float
    absent: Mapping[str, Count]
    """Kind → how many objects were answered with 404 again."""
    back: tuple[Left, ...] = ()
    """The first ones that are there again, or of which nothing shows that they aren't."""
    more: Count = 0
    """How many further ones."""
    unlisted: Mapping[str, str] = {}

    @property
    def good(self) -> bool:
        return not self.back and not self.unlisted
