"""How long a host's last patch took, by the journal."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rackwright.lifecycle.patch.last_times import measured_seconds
from rackwright.state.journal import Entry, Event
from tests.lifecycle.patch.seen import NOW


def entry(after: int, phase: str, host: str = "gpu1", rollout: str = "r1", run: str = "r1", **more: str) -> Entry:
    event = Event.OPENED if phase == "opened" else Event.INTENT
    words = {"subject": host, "phase": "" if phase == "opened" else phase, **more}
    return Entry(time=NOW + timedelta(seconds=after), rollout=rollout, run=run, operator="anna", event=event, **words)


OPENED = entry(0, "opened", host="", detail="patch run")
WHOLE = (entry(10, "gate"), entry(20, "act"), entry(70, "commit"), entry(80, "done"))


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ((OPENED, *WHOLE), {"gpu1": 70}),
        ((OPENED, *WHOLE, entry(90, "gate"), entry(95, "commit"), entry(100, "done")), {"gpu1": 10}),
        ((OPENED, *WHOLE[:3]), {}),
        ((OPENED, *WHOLE[:2], entry(80, "done")), {}),
        ((OPENED, *WHOLE[:3], entry(75, "revert"), entry(80, "done")), {}),
        ((OPENED, *WHOLE[:3], entry(80, "done", run="r2")), {}),
        ((OPENED, *WHOLE, entry(90, "gate"), entry(100, "done")), {"gpu1": 70}),
        ((entry(0, "opened", host="", detail="apply --reboot"), *WHOLE), {}),
        ((*WHOLE,), {}),
    ],
    ids=["one", "the last", "open", "unchanged", "reverted", "resumed", "unchanged later", "reboot", "trimmed"],
)
def test_only_a_whole_patch_is_measured(entries: tuple[Entry, ...], found: dict[str, float]) -> None:
    assert measured_seconds(entries) == found
