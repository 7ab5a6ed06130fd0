"""sshd's settings in each file, and the effective ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pyinfra.api.facts import FactBase

from rackwright.operations.undoable import Undoable

SSHD = Undoable("sshd")
PENDING = f"{SSHD.folder}/pending.conf"
"""Read before everything else while it exists: our drop-in starts with an Include of it."""
MAIN = "/etc/ssh/sshd_config"
FOLDER = "/etc/ssh/sshd_config.d"
DROP_IN = f"{FOLDER}/00-rackwright.conf"
"""sshd uses the first value that it reads for a keyword, and reads the folder's files in the order of their names."""
_INCLUDED = (f"{FOLDER}/*.conf", FOLDER.removeprefix("/etc/ssh/") + "/*.conf")


@dataclass(frozen=True)
class Line:
    """A line in a file that isn't ours."""

    place: str
    """FILE:LINE"""
    keyword: str
    """In lower case."""
    value: str
    first: bool
    """Whether it is read before our drop-in."""
    match: str = ""
    """The condition of the Match block around it; empty: it applies to everyone."""


@dataclass(frozen=True)
class Sshd:
    present: bool = False
    pending: bool = False
    """Whether a change waits for confirmation, or was left unconfirmed."""
    included: bool = False
    """Whether our folder is read, for everyone."""
    lines: tuple[Line, ...] = ()
    """In the order in which they are read."""
    effective: Mapping[str, str] = field(default_factory=dict)
    """Keyword in lower case → value, as `sshd -T` prints them; empty if it prints nothing."""


class SshdState(FactBase[Sshd]):
    """Given keywords, return the lines of sshd's files, and the effective settings for these keywords."""

    def command(self, keywords: tuple[str, ...]) -> str:
        wanted = "|".join(keyword.lower() for keyword in keywords)
        return (
            "if [ -x /usr/sbin/sshd ]; then echo present; "
            f"if [ -e {PENDING} ]; then echo pending; fi; "
            f"/usr/sbin/sshd -T 2>/dev/null | grep -E '^({wanted}) ' | sed 's/^/T /'; "
            f"grep -HnvE '^[[:space:]]*(#|$)' {MAIN} {FOLDER}/*.conf 2>/dev/null | sed 's/^/L /'; fi; true"
        )

    @staticmethod
    def default() -> Sshd:
        return Sshd()

    def process(self, output: list[str]) -> Sshd:
        files: dict[str, list[tuple[str, str, str]]] = {}
        for line in output:
            if parsed := re.fullmatch(r"L (/[^:]+):(\d+):\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*)", line):
                path, number, keyword, value = parsed.groups()
                files.setdefault(path, []).append((f"{path}:{number}", keyword.lower(), _plain(value)))
        read = tuple(_read(files))
        return Sshd(
            present="present" in output,
            pending="pending" in output,
            included=any(line.keyword == "include" and line.value in _INCLUDED and not line.match for line in read),
            lines=tuple(line for line in read if line.keyword not in ("include", "match")),
            effective=dict(line[2:].split(" ", 1) for line in output if line.startswith("T ") and " " in line[2:]),
        )


def _read(files: Mapping[str, list[tuple[str, str, str]]]) -> Iterator[Line]:
    """Yield the lines of other files than ours, in sshd's order. A Match block ends with its file or `Match all`."""
    first, match = True, ""
    for place, keyword, value in files.get(MAIN, ()):
        match = _matched(keyword, value, match)
        yield Line(place, keyword, value, first, match)
        if keyword == "include" and value in _INCLUDED:
            for path in sorted(path for path in files if path not in (MAIN, DROP_IN)):
                yield from _of_drop_in(files[path], match, first=first and path < DROP_IN)
            first = False


def _of_drop_in(lines: list[tuple[str, str, str]], match: str, *, first: bool) -> Iterator[Line]:
    for place, keyword, value in lines:
        match = _matched(keyword, value, match)
        yield Line(place, keyword, value, first, match)


def _matched(keyword: str, value: str, before: str) -> str:
    if keyword != "match":
        return before
    return "" if value.lower() == "all" else value


def _plain(value: str) -> str:
    return re.sub(r"\s+#.*", "", value).strip().strip('"')
