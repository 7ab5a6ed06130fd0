"""Put together what each recorded request was answered by the cloud, the cloud again and the fleet.

The files are read side by side, once if answers are in about the same order as their requests. What has to wait for
its other parts is limited in size: if there is too much, the newest of it waits for another reading.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

from pydantic import Field

from rackwright.migrate.lines import parsed
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from rackwright.values.base import Stored

Part = Literal["requests", "answers-cloud", "answers-again", "answers-fleet"]
"""The kinds of files that a score joins."""
PARTS: tuple[Part, ...] = get_args(Part)
Read = Callable[[Part], Iterator[str]]
"""Returns the lines of a kind."""
NOT_REPLAYED = "not replayed"
"""In `left_out`: recorded requests that aren't in the sample."""
WAITING = 64 * 2**20
"""Characters of lines that wait for their other parts."""


class _Name(Stored):
    """The id in a line, whatever its kind."""

    id: str = Field("", validation_alias="id")
    request: str = ""

    @property
    def of(self) -> str:
        return self.request or self.id


@dataclass(frozen=True)
class Answered:
    """A recorded request and three answers."""

    request: RecordedRequest
    cloud: ReplayedAnswer
    again: ReplayedAnswer
    fleet: ReplayedAnswer


@dataclass
class Join:
    """Iterate over the answered requests, each once; then `left_out` says why others aren't among them.

    Raise RackwrightError if a line isn't a request or an answer.
    """

    read: Read = field(repr=False)
    waiting: int = WAITING
    left_out: Counter[str] = field(default_factory=Counter)
    _done: set[int] = field(default_factory=set, repr=False)

    def __iter__(self) -> Iterator[Answered]:
        wanted = {_key(_named("answers-cloud", line)) for line in self.read("answers-cloud")}
        first = True
        while wanted:
            once = _Once(self.read, wanted, self._done, self.waiting)
            yield from once
            self.left_out.update(once.left_out())
            if first and once.unread:
                self.left_out[NOT_REPLAYED] = once.unread
            wanted, first = once.later, False


@dataclass
class _Once:
    """One reading of all files, for the wanted requests."""

    read: Read
    wanted: set[int]
    done: set[int]
    most: int
    later: set[int] = field(default_factory=set)
    """Requests that have to wait for another reading."""
    size: int = 0
    unread: int = 0
    doubles: int = 0
    parts: dict[int, dict[Part, str]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Answered]:
        for part, line in _side_by_side(self.read, self._is_wanted):
            key = _key(_named(part, line))
            if key not in self.wanted or key in self.later:
                continue
            if key in self.done or part in self.parts.get(key, {}):
                self.doubles += 1
                continue
            yield from self._add(key, part, line)

    def _is_wanted(self, line: str) -> bool:
        found = _key(_named("requests", line)) in self.wanted
        self.unread += not found
        return found

    def _add(self, key: int, part: Part, line: str) -> Iterator[Answered]:
        found = self.parts.setdefault(key, {})
        found[part] = line
        self.size += len(line)
        if len(found) == len(PARTS):
            self._forget(key)
            self.done.add(key)
            yield _whole(found)
        elif self.size > self.most and len(self.parts) > 1:
            for newest in list(self.parts)[len(self.parts) // 2 :]:
                self._forget(newest)
                self.later.add(newest)

    def _forget(self, key: int) -> None:
        self.size -= sum(map(len, self.parts.pop(key).values()))

    def left_out(self) -> Counter[str]:
        found = Counter(_lacks(parts) for parts in self.parts.values())
        if self.doubles:
            found["second line with the same id"] = self.doubles
        return found


def _side_by_side(read: Read, is_wanted: Callable[[str], bool]) -> Iterator[tuple[Part, str]]:
    """Yield a wanted request, then a line of each kind of answers, and so on to the end of all."""
    requests, answers = read("requests"), [(part, read(part)) for part in PARTS if part != "requests"]
    for line in requests:
        if is_wanted(line):
            yield "requests", line
            for part, lines in answers:
                yield from ((part, line) for line in _next(lines))
    for part, lines in answers:
        yield from ((part, line) for line in lines)


def _next(lines: Iterator[str]) -> Iterator[str]:
    if (line := next(lines, None)) is not None:
        yield line


def _whole(parts: dict[Part, str]) -> Answered:
    return Answered(
        parsed(parts["requests"], RecordedRequest, "requests"),
        *(parsed(parts[part], ReplayedAnswer, part) for part in PARTS if part != "requests"),
    )


def _lacks(parts: dict[Part, str]) -> str:
    cloud = parts.get("answers-cloud")
    if cloud and parsed(cloud, ReplayedAnswer, "answers-cloud").error:
        # A replay doesn't ask the others then.
        return "the cloud failed"
    missing = next(part for part in PARTS if part not in parts)
    return "the request isn't recorded" if missing == "requests" else f"no answer of the {_SIDES[missing]}"


_SIDES: dict[Part, str] = {"answers-cloud": "cloud", "answers-again": "cloud again", "answers-fleet": "fleet"}


def _named(part: Part, line: str) -> str:
    return parsed(line, _Name, part).of


def _key(name: str) -> int:
    """Return a short form of an id: a million ids would need 100 MB."""
    return int.from_bytes(hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest())
