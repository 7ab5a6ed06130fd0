"""Report that the tool can't tell what is due: nobody watches it, and no run has started that reports itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from rackwright.lifecycle.notify.notified import notified, reported
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.tool.applied_fleet import handed_fleet
from rackwright.roles.tool.settings import HANDED
from rackwright.state.formats import utc_now
from rackwright.values.tool_mode import in_tool_mode, kept_beside

COMMAND = "schedule run"
_MARKS = "reported"
"""The folder with an empty file for each reason that was reported; its time is when."""
_AGAIN = timedelta(days=1)
_MOST = 10
"""Reasons reported in a day: what a host says may differ each time."""
_NUMBER = re.compile(r"\b[0-9.]+ ")
"""How long something took, or how many there were, is no other reason."""


@contextmanager
def failures_reported(console: Console, handed: Path = Path(HANDED)) -> Iterator[None]:
    """Report the error of the block to the receivers of the fleet that root handed over, in tool mode.

    The same reason is reported once a day, and again at the next failure if no receiver got it. What was reported by
    the run itself isn't reported again. Nothing that goes wrong here changes the error. If it can't be noted that a
    reason was reported, it is reported each time: a notice too many is better than none.
    """
    try:
        yield
    except Exception as error:
        if in_tool_mode() and not reported(error):
            with suppress(Exception):
                _report(error, console, handed)
        raise


def _report(error: Exception, console: Console, handed: Path) -> None:
    fleet = handed_fleet(handed)
    mark = kept_beside(fleet.path, _MARKS) / sha256(_NUMBER.sub("", str(error)).encode()).hexdigest()
    now = utc_now()
    recent = _recent(mark.parent, now)
    if mark.name in recent or len(recent) >= _MOST:
        return
    with suppress(type(error)), notified(fleet, COMMAND, console, agreed=True) as notices:
        raise error
    wanted = [one for one in fleet.file.receivers if "failed" in one.events]
    if not wanted or len(notices.undelivered) < len(wanted):
        mark.parent.mkdir(mode=0o700, exist_ok=True)
        mark.touch()
        os.utime(mark, (now.timestamp(), now.timestamp()))


def _recent(folder: Path, now: datetime) -> set[str]:
    """Return the marks of the last day; remove the others, those of a wrong clock in the future too."""
    if not folder.is_dir():
        return set()
    first, last = (now - _AGAIN).timestamp(), now.timestamp()
    for mark in folder.iterdir():
        if not first < mark.stat().st_mtime <= last:
            mark.unlink()
    return {mark.name for mark in folder.iterdir()}
