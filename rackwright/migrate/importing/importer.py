"""Recorded requests from logs: read, redacted, each id once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import cast

from pydantic import JsonValue

from rackwright.errors import FleetError, Problem, RackwrightError
from rackwright.migrate.importing import from_har, from_jsonl, from_litellm, from_openai, json_items, json_lines
from rackwright.migrate.importing.detect import Shape, format_of, shape_of
from rackwright.migrate.importing.found import Counts, Format, Found, Item, Reason
from rackwright.migrate.importing.seen_ids import SeenIds
from rackwright.migrate.importing.source_file import HEAD, Source, open_source
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.redact import Redactor
from rackwright.terminal import visible

MOST_MODELS = 1000
OTHER_MODELS = "other models"
_READERS: Mapping[Format, Callable[[object], Item]] = {
    "jsonl": from_jsonl.request_of,
    "openai": from_openai.request_of,
    "litellm": from_litellm.request_of,
    "har": from_har.request_of,
}
_FORMATS = "lines of JSON, OpenAI's stored completions, LiteLLM's log or an HTTP archive (HAR)"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def shapes_of(paths: tuple[Path, ...]) -> dict[Path, Shape]:
    """Return the shape of each log; raise FleetError with a problem for each that can't be read as one."""
    problems: list[Problem] = []
    shapes: dict[Path, Shape] = {}
    for path in dict.fromkeys(paths):
        try:
            with closing(open_source(path)) as source:
                head = source.peek(HEAD)
        except RackwrightError as error:
            problems += error.problems
            continue
        shape = shape_of(head)
        if shape:
            shapes[path] = shape
        else:
            what = "is of no known format" if head.strip() else "is empty"
            problems.append(Problem(str(path), what, f"should be {_FORMATS}, in UTF-8 or UTF-16"))
    if problems:
        raise FleetError(problems)
    return shapes


class Importer:
    """Reads logs. `counts` grows while `requests` is read."""

    def __init__(self, more: Mapping[str, str], seen: SeenIds, format: Format | None = None) -> None:
        self.counts = Counts()
        self._more = more
        self._seen = seen
        self._format = format

    def requests(self, shapes: Mapping[Path, Shape]) -> Iterator[RecordedRequest]:
        """Yield each request of these files once, redacted.

        Raise RackwrightError if a file can't be read any further, or has a text of more than 8 MiB in one document.
        """
        for path, shape in shapes.items():
            self.counts.files += 1
            with closing(open_source(path)) as source:
                try:
                    yield from self._of_file(source, shape, visible(path.name))
                except json_items.Oversized as error:
                    raise error.but(where=str(path), should="split the file, or export it as lines of JSON") from None

    def _of_file(self, source: Source, shape: Shape, name: str) -> Iterator[RecordedRequest]:
        prefix = shape.prefix
        values = json_lines.values(source) if prefix is None else enumerate(json_items.items(source, prefix), 1)
        for number, value in values:
            self.counts.read += 1
            format: Format = "har" if shape.archive else self._format or format_of(value)
            found = value if isinstance(value, Reason) else _READERS[format](value)
            recorded = found if isinstance(found, Reason) else self._recorded(found, format, number)
            if isinstance(recorded, Reason):
                place = f"{name}:{number}" if prefix is None else f"item {number} of {name}"
                self.counts.skip(recorded, place)
            else:
                yield recorded

    def _recorded(self, found: Found, format: Format, number: int) -> RecordedRequest | Reason:
        redactor = Redactor(self._more)
        body = cast(dict[str, JsonValue], redactor.body(found.body))
        # A name of a model never has personal data that its pattern lets through, and must not change.
        body["model"] = found.model
        id = _id(found, format, number, body)
        if not self._seen.add(id):
            return Reason.DUPLICATE
        self._count(found, redactor.counts)
        return RecordedRequest(
            id=id,
            arrived=found.arrived,
            path=found.path,
            model=found.model,
            body=body,
            origin=format,
            personal=redactor.counts,
            prompt_tokens=found.prompt_tokens,
            completion_tokens=found.completion_tokens,
        )

    def _count(self, found: Found, personal: Mapping[str, int]) -> None:
        counts = self.counts
        counts.kept += 1
        counts.undated += found.arrived is None
        model = found.model if found.model in counts.models or len(counts.models) < MOST_MODELS else OTHER_MODELS
        counts.models[model] = counts.models.get(model, 0) + 1
        for kind, number in personal.items():
            counts.personal[kind] = counts.personal.get(kind, 0) + number


def _id(found: Found, format: Format, number: int, body: Mapping[str, JsonValue]) -> str:
    """Return the log's id if it has one without personal data, else a hash, which is the same in another import.

    Where the log has no id, its place in the file counts: the same prompt may be asked twice.
    """
    if found.id:
        safe = _SAFE.fullmatch(found.id) and Redactor().text(found.id) == found.id
        return found.id if safe else f"{format}-{hashlib.sha256(found.id.encode(errors='replace')).hexdigest()[:32]}"
    written = json.dumps([number, found.arrived, body], ensure_ascii=False, sort_keys=True)
    return f"{format}-{hashlib.sha256(written.encode(errors='replace')).hexdigest()[:32]}"
