"""`migrate export --verify`: decrypt the export, and note whether it is what its list says."""

from __future__ import annotations

import time

from rackwright.errors import ProofError, RackwrightError
from rackwright.lifecycle.migrate.export.opened import opened
from rackwright.lifecycle.migrate.export.tally import SAY_SECONDS
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.export.export_result import Exported
from rackwright.migrate.export.verify import Verified, verify
from rackwright.report.words import counted, size


def verify_export(place: Place) -> tuple[Verified, Exported]:
    """Decrypt the whole export and compare each content with its sha256; note it. No provider is asked.

    Raise ProofError with each content that isn't what the list says, RackwrightError if there is no export.
    """
    with opened(place, other=False) as exports:
        known = place.result("export", Exported)
        if known is None or not exports.length:
            raise RackwrightError(
                "there is no export that came to an end",
                where=str(exports.path),
                next=f"rackwright migrate export {place.plan.migration}",
            )
        found = verify(exports, place.folder.key, _Saying(place))
        same = exports.length == known.list_bytes
        now = {
            "whole": known.whole and same and not found.failed,
            "objects": sum(1 for _ in exports.complete()),
            "list_bytes": exports.length,
            "list_sha256": exports.sha256(),
            "verified": None if found.failed else time.time(),
        }
        result = known.model_copy(update=now)
        place.note("export", _verified_line(found), result)
    if found.failed:
        raise ProofError(f"{counted(found.failed, 'content')} of the export can't be verified").with_problems(
            found.problems
        )
    return found, result


def _verified_line(found: Verified) -> str:
    if found.failed:
        return f"{counted(found.failed, 'content')} can't be verified, of {counted(found.objects, 'object')}"
    return f"verified: {counted(found.objects, 'object')}, {size(found.bytes)}"


class _Saying:
    def __init__(self, place: Place) -> None:
        self._place, self._said = place, time.monotonic()

    def __call__(self, found: Verified) -> None:
        if time.monotonic() - self._said >= SAY_SECONDS:
            self._said = time.monotonic()
            self._place.console.say(f"{counted(found.objects, 'object')} verified, {size(found.bytes)}")
