"""A copy of a replay's sample in the folder, in the order in which it is asked: a part reads its own files only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from rackwright.errors import RackwrightError
from rackwright.migrate.asking.sample import Drawn
from rackwright.migrate.file_kind import FileKind
from rackwright.migrate.folder import Folder
from rackwright.migrate.lines import parsed
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.values.base import Stored

KIND: FileKind = "sample"
"""Of its files in the folder; their lines are those of `requests`."""
IN_FILE = 200
"""The most requests in one file."""
MOST_CHARACTERS = 64 * 2**20
"""Of requests that are in memory at a time; a sample with more is copied in several readings of the folder."""


class _Id(Stored):
    id: str


@dataclass
class SampleCopy:
    """The requests of `drawn`, copied when they are first read, and again if the copy has other ones."""

    folder: Folder
    drawn: Sequence[Drawn]
    _places: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._places = {one.id: place for place, one in enumerate(self.drawn)}

    def requests(self, ids: Sequence[str]) -> list[RecordedRequest]:
        """Return these requests of the sample, in its order: the first ones that fit into memory, at least one.

        Raise RackwrightError if the folder doesn't have them any more, or can't be read or written.
        """
        places = sorted(self._places[id] for id in ids)
        found = self._read(places)
        if found is None:
            self._write()
            found = self._read(places)
        if found is None:
            raise self._lost()
        return found

    def _read(self, places: Sequence[int]) -> list[RecordedRequest] | None:
        """Return the requests at these places; None: the copy isn't one of this sample."""
        if sum(one.lines for _, one in self.folder.of(KIND)) != len(self.drawn):
            return None
        found: list[RecordedRequest] = []
        size = 0
        for place, line in self._lines(places):
            size += len(line)
            if found and size > MOST_CHARACTERS:
                break
            if parsed(line, _Id, KIND).id != self.drawn[place].id:
                return None
            found.append(parsed(line, RecordedRequest, KIND))
        return found

    def _lines(self, places: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Yield these lines of the copy, each with its place. Only files that have one of them are read."""
        waiting, first = list(reversed(places)), 0
        for name, one in self.folder.of(KIND):
            end = first + one.lines
            if waiting and waiting[-1] < end:
                lines = self.folder.lines(name)
                while waiting and waiting[-1] < end:
                    place = waiting.pop()
                    yield place, lines[place - first]
            first = end

    def _write(self) -> None:
        self.folder.remove(KIND)
        done = 0
        while done < len(self.drawn):
            lines = self._from(done)
            for first in range(0, len(lines), IN_FILE):
                self.folder.write(KIND, lines[first : first + IN_FILE])
            done += len(lines)

    def _from(self, start: int) -> list[str]:
        """Return the lines of the sample from this place on, as many as fit into memory, at least one."""
        wanted: dict[str, dict[str, int]] = {}
        for place, one in enumerate(self.drawn[start:], start):
            wanted.setdefault(one.file, {})[one.id] = place
        found: dict[int, str] = {}
        last: list[int] = []
        size, end = 0, len(self.drawn)
        for file in sorted(wanted):
            for line in self.folder.lines(file):
                place = wanted[file].get(parsed(line, _Id, file).id, end)
                if place >= end or place in found:
                    continue
                found[place] = line
                heappush(last, -place)
                size += len(line)
                while size > MOST_CHARACTERS and len(found) > 1:
                    end = -heappop(last)
                    size -= len(found.pop(end))
        if len(found) != end - start:
            raise self._lost()
        return [found[place] for place in range(start, end)]

    def _lost(self) -> RackwrightError:
        return RackwrightError("doesn't have the requests of its sample any more", where=str(self.folder.path))
