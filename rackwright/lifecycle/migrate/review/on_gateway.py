"""Sums of a gateway's access log, and a sample of it. Its text runs on the gateway with the host's own Python, so it
uses only the standard library. Its memory doesn't grow with the number of lines.

It reads "-- oldest SECONDS", then lines of the log, then "-- whole". Its argument says what is wanted, as JSON:
`names` (the provider's models), `windows` (of each side, from and until, Unix seconds) and `most` (a sample's lines).
"""

from __future__ import annotations

import json
import re
import sys
from calendar import timegm
from collections.abc import Iterable
from typing import Any

MOST_ROWS = 20_000
MOST_LINE = 8192
"""Characters of a line that is part of the sample."""
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z")
_SIDE = re.compile("[a-z]{1,16}")


def drawn(conversation: int) -> float:
    """Return a conversation's place among all, 0 to 1."""
    return conversation * 2654435761 % 2**32 / 2**32


class Sample:
    """Lines of whole conversations. If there are too many, those of a half of all conversations are kept, and so on:
    the same ones at all gateways."""

    def __init__(self, most: int) -> None:
        self.most, self.share = most, 1.0
        self.kept: list[tuple[float, str]] = []

    def add(self, conversation: int, line: str) -> None:
        place = drawn(conversation)
        if place >= self.share:
            return
        self.kept.append((place, line))
        while len(self.kept) > self.most:
            self.share /= 2
            self.kept = [one for one in self.kept if one[0] < self.share]


class Sums:
    def __init__(self, names: list[str], windows: dict[str, list[float]], most: int) -> None:
        self.names, self.windows = frozenset(names), windows
        self.samples = {side: Sample(most) for side in windows}
        self.rows: dict[tuple[int, str, str], list[int]] = {}
        self.oldest, self.first, self.read, self.dropped, self.whole = 0, 0.0, 0, 0, False

    def add(self, line: str) -> None:
        if line.startswith("-- "):
            self._mark(line.split())
            return
        self.read += 1
        try:
            said = json.loads(line)
            at = _seconds(said["time"])
            self.first = min(self.first or at, at)
            if said["name"] in self.names and isinstance(said["side"], str) and _SIDE.fullmatch(said["side"]):
                self._count(said, at)
                self._draw(said, at, line)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            # journald may truncate a line.
            self.dropped += 1

    def _mark(self, words: list[str]) -> None:
        if words[1:2] == ["whole"]:
            self.whole = True
        elif words[1:2] == ["oldest"] and words[2:] and words[2].isdigit():
            self.oldest = int(words[2])

    def _count(self, said: dict[str, Any], at: float) -> None:
        key = (int(at // 3600), said["name"], said["side"])
        if key not in self.rows and len(self.rows) >= MOST_ROWS:
            self.dropped += 1
            return
        row = self.rows.setdefault(key, [0] * 5)
        row[0] += 1
        if not 0 < said["status"] < 400:
            return
        row[1] += 1
        prompt, completion = said["prompt_tokens"], said["completion_tokens"]
        if type(prompt) is int and type(completion) is int and prompt >= 0 and completion >= 0:
            row[2] += 1
            row[3] += prompt
            row[4] += completion

    def _draw(self, said: dict[str, Any], at: float, line: str) -> None:
        side, conversation = said["side"], said["conversation"]
        if side not in self.windows or type(conversation) is not int or len(line) > MOST_LINE:
            return
        begins, ends = self.windows[side]
        if begins <= at < ends:
            self.samples[side].add(conversation, line)

    def document(self) -> dict[str, Any]:
        return {
            "format": "answered/1",
            "oldest": self.oldest,
            "first": self.first,
            "read": self.read,
            "dropped": self.dropped,
            "whole": self.whole,
            "rows": [[*key, *row] for key, row in sorted(self.rows.items())],
            "samples": {
                side: {"share": one.share, "lines": [line for _, line in one.kept]}
                for side, one in self.samples.items()
            },
        }


def summed(lines: Iterable[str], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the document."""
    found = Sums(wanted["names"], wanted["windows"], wanted["most"])
    for line in lines:
        found.add(line.rstrip("\n"))
    return found.document()


def _seconds(time: str) -> float:
    """Return the Unix seconds of a time like 2026-12-02T05:21:18.123Z."""
    match = _TIME.fullmatch(time)
    if not match:
        raise ValueError("not a time of the log")
    year, month, day, hour, minute, second, thousandths = map(int, match.groups())
    return timegm((year, month, day, hour, minute, second, 0, 0, 0)) + thousandths / 1000


if __name__ == "__main__":
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
    json.dump(summed(sys.stdin, json.loads(sys.argv[1])), sys.stdout, separators=(",", ":"))
