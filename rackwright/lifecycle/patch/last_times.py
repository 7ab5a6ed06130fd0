"""How long the last patch of each host took, by the journal. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rackwright.lifecycle.patch.document import WHAT
from rackwright.lifecycle.rollout.change import Phase
from rackwright.state.journal import Entry, Event


def measured_seconds(entries: Iterable[Entry]) -> dict[str, float]:
    """Return host → seconds of its last patch, from its gates to the end of its soak. Others are absent.

    A patch that was reverted, or that another command continued, isn't measured: it says nothing about the next one.
    """
    runs: set[str] = set()
    began: dict[str, tuple[str, datetime]] = {}
    committed: set[str] = set()
    found: dict[str, float] = {}
    for entry in entries:
        host = entry.subject
        if entry.event is Event.OPENED and entry.detail == WHAT:
            runs.add(entry.rollout)
        elif entry.rollout not in runs:
            continue
        elif entry.phase == Phase.GATE:
            began[host] = (entry.run, entry.time)
            committed.discard(host)
        elif entry.phase == Phase.COMMIT:
            committed.add(host)
        elif entry.phase == Phase.REVERT:
            committed.discard(host)
        elif entry.phase == Phase.DONE and host in committed and began[host][0] == entry.run:
            found[host] = (entry.time - began[host][1]).total_seconds()
    return found
