"""The certificate of a migration's end: what was done, what that proves, and what it can't prove."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rackwright.errors import RackwrightError
from rackwright.migrate.finish.order import NO_DELETION
from rackwright.migrate.finish.state import FinishState, Rechecked
from rackwright.state.formats import Moment, parse
from rackwright.values.base import Stored
from rackwright.values.text import Sha256

KIND = "migration-certificate"


class Certificate(Stored):
    """A signature covers the whole file."""

    format: str = f"{KIND}/1"
    fleet: str
    migration: str
    intent: str
    models: Mapping[str, str]
    """The provider's model → the fleet's model that answers in its place."""
    made: Moment
    signer: str
    """Name in the file of signers."""
    key: str
    """Fingerprint of the signer's key."""
    entries: int
    """Of the migration's log."""
    log: Sha256
    """Of the log's last entry, with which it can be seen that the log is still the same."""
    end: FinishState
    rechecks: tuple[Rechecked, ...] = ()
    """Oldest first."""
    proves: tuple[str, ...]
    not_proven: tuple[str, ...]
    page: Sha256 | None = None
    """Of the page made from it. None only while the page is made."""

    def written(self) -> bytes:
        """Return the file's content."""
        return self.model_dump_json(indent=1).encode() + b"\n"


def certificate_in(content: bytes, where: str) -> Certificate:
    """Return the certificate in the file's content. Raise RackwrightError if it is damaged or of a newer format."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise RackwrightError("is damaged: not UTF-8 text", where=where) from None
    return parse(Certificate, KIND, text, where)


def proves(end: FinishState) -> Iterator[str]:
    """Yield what the certificate shows, each in a sentence."""
    ends = end.kinds.values()
    if end.copy_state:
        yield (
            f"The export has {end.copy_state.objects:,} objects. Each was decrypted and compared with its sha256. "
            f"The list of all of them has the sha256 {end.copy_state.list_sha256}."
        )
    deleted, gone = sum(one.deleted for one in ends), sum(one.gone for one in ends)
    yield (
        f"The provider accepted the deletion of {deleted:,} objects, and afterwards answered a request for each of "
        f"them with 404. {gone:,} more were answered with 404 already."
    )
    if listed := [kind for kind, one in end.kinds.items() if one.empty]:
        yield f"Afterwards its lists had none of them: {', '.join(listed)}."
    if end.erased:
        yield "A listing of each gateway that recorded, and of the migration's folder, showed no recorded request."
    if end.keys:
        yield f"No file of the gateways {', '.join(end.keys)} had the provider's key when it was looked for."


def not_proven(end: FinishState) -> Iterator[str]:
    """Yield what nobody but the provider can show, and what is left."""
    yield "404 and an empty list say what the provider answers. They don't show that it has no copy, like a backup."
    yield "The provider's own logs, and what it derived from the data, are not covered."
    yield "The provider's key was removed here. Whether the provider has revoked it isn't known."
    yield "Snapshots of gateways have the key's encrypted file until they end."
    yield "Responses and conversations can't be listed: only those that the application has named are covered."
    for kind, one in end.kinds.items():
        if one.uncopied:
            why = end.waived.get(kind, "nobody has a copy")
            yield f"Still at the provider: {one.uncopied:,} of the kind {kind}: {why}"
        if one.staying:
            yield f"Still at the provider: {one.staying:,} of the kind {kind}: {NO_DELETION[kind]}"
    if end.quiet.others:
        yield (
            f"A cloud also answers {', '.join(end.quiet.others)}, and the gateways' ledgers don't have the model. "
            "That the provider had no request of this migration follows from the share."
        )
    if end.others:
        yield f"The cloud still answers {', '.join(end.others)}, so the gateways keep its key."
