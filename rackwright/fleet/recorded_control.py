"""Which control hosts the lock records, read without parsing the rest of the lock."""

from __future__ import annotations

import re
from pathlib import Path

_BEGINS = 16 * 1024
"""In bytes. The key follows the header and `format`, because the lock's keys are sorted."""
_CONTROL = re.compile(rb"^control:\n((?:  - \S+\n)+)", re.MULTILINE)


def recorded_control(lock: Path) -> tuple[str, ...]:
    """Return the control hosts that the lock records, empty if there is no lock or it records none.

    `read_lock` refuses a lock of which this and the whole content differ.
    """
    try:
        with lock.open("rb") as stream:
            found = _CONTROL.search(stream.read(_BEGINS))
    except OSError:
        return ()
    lines = found[1].decode(errors="replace").splitlines() if found else []
    return tuple(line.removeprefix("  - ").strip("'\"") for line in lines)


def without_recorded_control(lock: bytes) -> bytes:
    """Given a lock's content, return it without the control hosts."""
    return _CONTROL.sub(b"", lock, count=1)
