"""How much is recorded and dropped, as state.json says."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.roles.capture.program.disk import sync
from rackwright.roles.capture.program.orders import Orders


@dataclass
class Counts:
    """What state.json says, of complete files only."""

    recorded: int = 0
    bytes: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    personal: Counter[str] = field(default_factory=Counter)
    ended: str = ""
    """The limit that ended the capture; empty: it goes on."""

    @staticmethod
    def read(path: Path, until: int) -> Counts:
        """Return the counts of an earlier run; none if there are none or they can't be read."""
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            dropped, personal = _counted(said["dropped"]), _counted(said["personal"])
            # Each start by an operator has another end. One that has reached a limit stays ended at the next boot.
            ended = str(said["ended"]) if said["until"] == until else ""
            return Counts(int(said["recorded"]), int(said["bytes"]), dropped, personal, ended)
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return Counts()

    def write(self, path: Path, orders: Orders) -> None:
        """Write the file, if the disk takes it."""
        document = {
            "format": "capture-state/1",
            "migration": orders.migration,
            "until": orders.until,
            "recorded": self.recorded,
            "bytes": self.bytes,
            "dropped": dict(self.dropped),
            "personal": dict(self.personal),
            "ended": self.ended,
        }
        temporary = path.with_suffix(".new")
        with suppress(OSError):
            temporary.write_text(json.dumps(document) + "\n", encoding="utf-8")
            sync(temporary)
            temporary.replace(path)


def _counted(said: dict[str, int]) -> Counter[str]:
    return Counter({kind: int(number) for kind, number in dict(said).items()})
