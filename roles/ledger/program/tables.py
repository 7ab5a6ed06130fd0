"""What HAProxy's workers have counted, as the script `tables` prints it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rackwright.roles.ledger.program.rows import GATEWAY, Row, is_row, moved

_OF = re.compile(r"== (own|copy) (\S+) ([0-9]{1,10}) ([0-9]{1,15})")
_READ = re.compile(r"== read ([0-9]{1,15})")
_ENTRY = re.compile(r"0x[0-9a-f]+: key=(\S+)\|(\S+)\|([0-9]{1,9})\|([0-9]{1,10})(?:\|\.*)? (.*)")
_ACCEPTED = re.compile(r"\bgpc0=([0-9]{1,12})\b")
_RUNNING = re.compile(r"\bconn_cur=([0-9]{1,12})\b")
_END = "== end"


@dataclass
class Tables:
    """One reading of the tables of all live workers."""

    began: int = 0
    """Before the first worker was asked for this gateway's own table, in Unix milliseconds."""
    ended: int = 0
    """After the last one had answered."""
    accepted: dict[tuple[str, Row], dict[int, int]] = field(default_factory=dict)
    """Gateway and row → worker's process id → how many it had accepted."""
    running: dict[Row, int] = field(default_factory=dict)
    """How many of this gateway's requests had neither ended nor been logged, each in one row only."""
    dropped: int = 0
    """Entries that can't be the gateway's."""

    def count(self, gateway: str, row: Row, pid: int, accepted: int) -> None:
        """Note what a worker had accepted, unless more is known."""
        workers = self.accepted.setdefault((gateway, row), {})
        workers[pid] = max(accepted, workers.get(pid, 0))


def parse_tables(text: str) -> Tables:
    """Parse what the script prints. Raise ValueError if it isn't that, or not complete."""
    found = Tables()
    section: tuple[str, str, int] | None = None
    lines = text.splitlines()
    if not lines or lines[-1] != _END:
        raise ValueError("HAProxy's tables were not read to their end")
    for line in lines[:-1]:
        if begins := _OF.fullmatch(line):
            section = (begins[1], begins[2], int(begins[3]))
            if GATEWAY.fullmatch(section[1]) is None:
                raise ValueError(f"not a gateway: {section[1][:100]}")
            if section[0] == "own":
                found.began = min(found.began or int(begins[4]), int(begins[4]))
        elif read := _READ.fullmatch(line):
            if section and section[0] == "own":
                found.ended = max(found.ended, int(read[1]))
        elif entry := _ENTRY.fullmatch(line):
            if section is None:
                raise ValueError("an entry of no table")
            _note(found, section, entry)
        elif line and not line.startswith("# table: "):
            found.dropped += 1
    if not found.began or found.ended < found.began:
        raise ValueError("no worker of HAProxy said what it has accepted")
    found.running = {row: _still(found, row) for row in found.running}
    return found


def _still(found: Tables, row: Row) -> int:
    """Return how many run, without those that run in the cloud by now. The two weren't read at the same instant."""
    other = moved(row)
    return max(0, found.running[row] - (found.running.get(other, 0) if other else 0))


def _note(found: Tables, section: tuple[str, str, int], entry: re.Match[str]) -> None:
    kind, gateway, asked = section
    key, side, hour, pid = entry[1], entry[2], int(entry[3]), int(entry[4])
    accepted, running = _ACCEPTED.search(entry[5]), _RUNNING.search(entry[5])
    if not is_row(hour, key, side) or accepted is None:
        found.dropped += 1
        return
    row = Row(hour, key, side)
    found.count(gateway, row, pid, int(accepted[1]))
    # Another worker's entry says what that one had counted, not what it has in flight.
    if kind == "own" and pid == asked and running:
        found.running[row] = found.running.get(row, 0) + int(running[1])
