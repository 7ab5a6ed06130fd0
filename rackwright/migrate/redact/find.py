"""How one kind of data is found in a text.

Every pattern has an upper limit for each repeat and can't start inside a run that it has already refused, so the time
grows linearly with the text, whatever the text is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Find = Callable[[str, int, int], Iterator[tuple[int, int]]]
"""Takes a text and the part to search; yields where something is: first character, and the one after its last."""
MayHave = Callable[[str], object]
"""Whether a text in lower case can have something; a quick look, because most texts have nothing."""
Finder = tuple[str, MayHave, Find]
"""A kind of data, whether a text may have it, and where it is."""


def all_of(pattern: re.Pattern[str]) -> Find:
    return lambda text, start, end: (found.span() for found in pattern.finditer(text, start, end))


def spans(pattern: str, *, check: Callable[[str], bool] | None = None, flags: int = 0) -> Find:
    """Find a pattern, or its group `it`, where `check` accepts it."""
    compiled = re.compile(pattern, flags)
    group = "it" if "it" in compiled.groupindex else 0

    def find(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        for found in compiled.finditer(text, start, end):
            span = found.span(group)
            if check is None or check(text[slice(*span)]):
                yield span

    return find


def extents(starts: str, extent: Callable[[str, int], int | None]) -> Find:
    """Find what begins where `starts` matches and has the end that `extent` returns; None: it is nothing."""
    compiled = re.compile(starts)

    def find(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        for found in compiled.finditer(text, start, end):
            last = extent(text, found.start())
            if last is not None:
                yield found.start(), last

    return find


def any_of(*parts: str) -> MayHave:
    return lambda lower: any(part in lower for part in parts)


def matches(pattern: str) -> MayHave:
    return re.compile(pattern).search


def follows(*words: str) -> MayHave:
    """Return whether a value is assigned to something whose name has one of these words."""
    assigned = re.compile(r"\w{0,12}[\"']?(?:\s{0,3}[:=]|\s{1,3}is\s)")

    def may_have(lower: str) -> bool:
        for word in words:
            start = lower.find(word)
            while start >= 0:
                if assigned.match(lower, start + len(word)):
                    return True
                start = lower.find(word, start + len(word))
        return False

    return may_have
