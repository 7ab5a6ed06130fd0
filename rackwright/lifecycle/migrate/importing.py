"""`migrate import`: requests from logs that exist already, redacted and encrypted into the migration's folder."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate.place import Place
from rackwright.migrate.folder import Folder
from rackwright.migrate.importing.detect import Shape
from rackwright.migrate.importing.found import Format, Imported, Reason
from rackwright.migrate.importing.importer import Importer, shapes_of
from rackwright.migrate.importing.seen_ids import SeenIds
from rackwright.migrate.lines import parsed
from rackwright.report.words import counted
from rackwright.values.base import Stored

_ID = re.compile(r'\{"format":"recorded-request/1","id":("(?:[^"\\]|\\.){0,1000}")')


class _Id(Stored):
    id: str


def import_logs(place: Place, paths: tuple[Path, ...], format: Format | None = None) -> Imported:
    """Add the requests of these logs to the migration's folder and note it; return what was read, kept and skipped.

    A request whose id is in the folder already isn't added again, so the same import can be repeated.

    Raise FleetError, before anything is written, with each file that is no log; RackwrightError if no request can be
    used, if the folder can't be written, or if a log can't be read to its end. In the last two cases what was read
    before is kept.
    """
    shapes = shapes_of(paths)
    place.need_folder()
    with SeenIds(known_ids(place.folder)) as seen:
        importer = Importer(place.plan.records.redact, seen, format)
        reading = _Reading(place, importer, shapes)
        try:
            place.folder.write("requests", reading.lines())
        except RackwrightError as error:
            raise _repeated(error, place) from None
    imported = _with_unmapped(importer.counts.imported(), place.plan.models)
    if not imported.kept and Reason.DUPLICATE not in imported.skipped:
        raise reading.error or RackwrightError(
            "there is no request in it that can be used",
            where=", ".join(map(str, paths)),
            should="should be whole requests with a model and a prompt",
            listed=[
                f"{reason}: {number:,}, the first is {imported.first_skipped[reason]}"
                for reason, number in imported.skipped.items()
            ],
        )
    place.note("import", _what(imported, ended=reading.error is None), imported)
    if reading.error:
        raise _repeated(reading.error, place)
    return imported


def known_ids(folder: Folder) -> Iterator[str]:
    """Yield the id of each recorded request in the folder. Needs the private key only if there are any."""
    for line in folder.read("requests"):
        # A line is long, and only its beginning is of interest.
        found = _ID.match(line)
        yield str(json.loads(found[1])) if found else parsed(line, _Id, "requests").id


class _Reading:
    """The lines to write. After an error there is no further line, so that all lines before it are written."""

    def __init__(self, place: Place, importer: Importer, shapes: Mapping[Path, Shape]) -> None:
        self.error: RackwrightError | None = None
        self._place = place
        self._importer = importer
        self._shapes = shapes

    def lines(self) -> Iterator[str]:
        for path, shape in self._shapes.items():
            before = self._importer.counts.kept
            try:
                for request in self._importer.requests({path: shape}):
                    yield request.model_dump_json()
            except RackwrightError as error:
                self.error = error
                return
            self._place.console.say(f"{path}: {counted(self._importer.counts.kept - before, 'request')}")


def _with_unmapped(imported: Imported, models: Mapping[str, str]) -> Imported:
    left = {name: number for name, number in imported.models.items() if name not in models}
    return imported.model_copy(update={"unmapped": left})


def _what(imported: Imported, *, ended: bool) -> str:
    skipped = Counter(imported.skipped).total()
    files = counted(imported.files, "file")
    text = f"{counted(imported.kept, 'request')} from {files}, {skipped:,} skipped"
    return text if ended else f"{text}; stopped before the end"


def _repeated(error: RackwrightError, place: Place) -> RackwrightError:
    number = counted(sum(one.lines for _, one in place.folder.of("requests")), "request")
    should = error.problems[0].should or "then import it again"
    return error.but(should=f"{should}; the {number} in the folder will not be added twice")
