"""How a line is changed: each mutant changes one thing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.text_mutants.places import Place

_SWAPPED = (
    ("accept", "drop"),
    ("on", "off"),
    ("up", "down"),
    ("lt", "ge"),
    ("saddr", "daddr"),
    ("sport", "dport"),
    ("oif", "iif"),
    ("&&", "||"),
    ("==", "!="),
)
"""Either becomes the other, as do those below."""
_IN_SHELL = (("-eq", "-ne"), ("-lt", "-le"), ("-gt", "-ge"), ("= yes", "= no"))
_IN_CONFIGURATION = ((" if", " unless"), ("=yes", "=no"))
_REPLACED = (
    ("required", "none"),
    ("deny", "allow"),
    ("reject", "accept"),
    ("goto", "jump"),
    ("leastconn", "first"),
    ("strict", "full"),
)
_REMOVED = (r"! ?(?=[\[\w{$(])", r"established,|,related", r"sync [^&|;]+ && ", r" \| head -n 1")
_REMOVED_IN_SHELL = (r"(?<=\s)--?[a-z][\w-]*(?:=[^\s)\"']+)?",)
_REMOVED_IN_CONFIGURATION = (
    r" (?:check-sni|maxconn|alpn|verifyhost) (?:{{[^}]*}}\S*|[^{\s]\S*)",
    r" (?:transparent|check|abortonclose)(?= |$)",
)
_NUMBER = re.compile(r"(?<![\w.:$%@/^&{,\\-])(?<!refuse\()\d+(?=(?:ms|s|m|h|d|k)?(?![\w.>]))")
_STRUCTURE = re.compile(r"\s*({%.*|.*{|}|end|\[\w+]|Description=.*)\s*$")
"""Without such a line the text can't be read, or reads the same."""


@dataclass(frozen=True)
class Change:
    kind: str
    new: str
    """The line as it becomes."""


def changes(place: Place, *, script: bool) -> list[Change]:
    """Return every mutant of this line of a script, or of a configuration; none twice."""
    found = {change.new: change for change in _all(place, script=script) if change.new != place.text}
    return list(found.values())


def _all(place: Place, *, script: bool) -> Iterator[Change]:
    if place.whole and not _STRUCTURE.match(place.text):
        yield Change("delete", "")
    for one, other in _SWAPPED + (_IN_SHELL if script else _IN_CONFIGURATION):
        yield from _replaced(place, "swap", _word(one), other)
        yield from _replaced(place, "swap", _word(other), one)
    for one, other in _REPLACED:
        yield from _replaced(place, "replace", _word(one), other)
    for pattern in _REMOVED + (_REMOVED_IN_SHELL if script else _REMOVED_IN_CONFIGURATION):
        yield from _replaced(place, "remove", re.compile(pattern), "")
    for match in _NUMBER.finditer(place.text, place.start, place.end):
        for number in _others(int(match[0])):
            yield Change("number", _with(place.text, match, str(number)))


def _others(number: int) -> tuple[int, ...]:
    """A small number is one more and one less; a large one is ten times as large, and nothing."""
    return (number + 1, abs(number - 1)) if number < 10 else (number * 10, 0)


def _replaced(place: Place, kind: str, pattern: re.Pattern[str], other: str) -> Iterator[Change]:
    for match in pattern.finditer(place.text, place.start, place.end):
        yield Change(kind, _with(place.text, match, other))


def _with(text: str, match: re.Match[str], other: str) -> str:
    return text[: match.start()] + other + text[match.end() :]


def _word(word: str) -> re.Pattern[str]:
    before, after = r"(?<![\w.-])" if word[0].isalpha() else "", r"(?![\w=.-])" if word[-1].isalpha() else ""
    if word in (" if", " unless"):
        # Not the ifs of Jinja and Lua, which know no unless.
        return re.compile(rf"(?<!{{%)(?<!^){word}(?= )(?!.* (?:else|then))")
    return re.compile(rf"{before}{re.escape(word)}{after}")
