"""usage/1: how days and the program's state are written and read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TypeVar

from rackwright.operations.log_program import document
from rackwright.roles.usage.program.day import COLUMNS, EDGES, Day, Latency, Row
from rackwright.roles.usage.program.lines import LONGEST
from rackwright.roles.usage.program.periods import LAST_DAY, PERIOD, date_of
from rackwright.roles.usage.program.state import State, Sum

FORMAT = "usage/1"
KINDS = ("key", "owner")
_Read = TypeVar("_Read")


def days_text(gateway: str, days: Iterable[Day]) -> str:
    """Return the document of days that are over."""
    return _text({"format": FORMAT, "gateway": gateway, "columns": COLUMNS, "edges": EDGES, "days": _days(days)})


def state_text(state: State) -> str:
    """Return the state's document: its open days, and what the next run needs."""
    return _text(
        {
            "format": FORMAT,
            "gateway": state.gateway,
            "since": state.since,
            "taken": state.taken,
            "columns": COLUMNS,
            "edges": EDGES,
            "days": _days(day for _, day in sorted(state.days.items())),
            "cursor": state.cursor,
            "last": state.last,
            "read": state.read,
            "workers": sorted(state.workers.items()),
            "used": _sums(state.used),
            "copies": [[gateway, _sums(sums)] for gateway, sums in sorted(state.copies.items())],
        }
    )


def parse_days(text: str) -> tuple[str, tuple[Day, ...]]:
    """Return a document's gateway and days. Raise ValueError if it isn't one, or is of a newer rackwright."""
    return _parse(text, lambda said: (document.text(said["gateway"]), tuple(_read_days(said))))


def parse_state(text: str) -> State:
    """Return the state of a document. Raise ValueError if it isn't one, or is of a newer rackwright."""
    return _parse(text, _state)


def _text(said: dict[str, object]) -> str:
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False)


def _days(days: Iterable[Day]) -> list[object]:
    return [
        {
            "day": date_of(day.day).isoformat(),
            "number": day.day,
            "lost": day.lost,
            "gaps": day.gaps,
            "rows": [[*row, *sums] for row, sums in sorted(day.rows.items())],
            "latency": [[model, one.first_byte, one.total] for model, one in sorted(day.latency.items())],
            "reuse": [[replica, *tokens] for replica, tokens in sorted(day.reuse.items())],
        }
        for day in days
    ]


def _sums(sums: dict[Sum, int]) -> list[object]:
    return [[which.kind, which.name, which.period, tokens] for which, tokens in sorted(sums.items())]


def _parse(text: str, read: Callable[[dict[str, object]], _Read]) -> _Read:
    try:
        said = json.loads(text)
        if said["format"] != FORMAT:
            raise ValueError(f"it is {json.dumps(said['format'])[:60]}, and this rackwright reads {FORMAT}")
        if (said["columns"], said["edges"]) != ([*COLUMNS], [*EDGES]):
            raise ValueError("it has other columns or edges than this rackwright's")
        return read(said)
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"not a document of {FORMAT}") from None


def _state(said: dict[str, object]) -> State:
    state = State(document.text(said["gateway"]))
    state.since, state.taken, state.read = (document.number(said[name]) for name in ("since", "taken", "read"))
    state.cursor, state.last = document.text(said["cursor"]), document.text(said["last"])
    for worker, dropped in document.rows(said["workers"]):
        state.workers[document.number(worker)] = document.number(dropped)
    state.days = {day.day: day for day in _read_days(said)}
    state.used = _read_sums(said["used"])
    for gateway, sums in document.rows(said["copies"]):
        state.copies[document.text(gateway)] = _read_sums(sums)
    return state


def _read_days(said: dict[str, object]) -> Iterable[Day]:
    for day in document.rows(said["days"]):
        yield _read_day(day)  # type: ignore[arg-type]


def _read_day(said: dict[str, object]) -> Day:
    number = document.number(said["number"])
    if number >= LAST_DAY:
        raise ValueError(f"not a day: {number}")
    day = Day(number, lost=document.number(said["lost"]))
    day.gaps = [(document.number(after), document.number(before)) for after, before in document.rows(said["gaps"])]
    for key, owner, model, *sums in document.rows(said["rows"]):
        day.rows[Row(_name(key), _name(owner), _name(model))] = document.numbers(sums, len(COLUMNS))
    for model, first, total in document.rows(said["latency"]):
        histograms = (document.numbers(one, len(EDGES) + 1) for one in (first, total))
        day.latency[_name(model)] = Latency(*histograms)
    for replica, prompt, cached in document.rows(said["reuse"]):
        day.reuse[_name(replica)] = document.number(prompt), document.number(cached)
    return day


def _read_sums(said: object) -> dict[Sum, int]:
    found = {}
    for kind, name, period, tokens in document.rows(said):
        if kind not in KINDS or not PERIOD.fullmatch(_name(period)):
            raise ValueError(f"not a sum: {str((kind, name, period))[:100]}")
        found[Sum(str(kind), _name(name), _name(period))] = document.number(tokens)
    return found


def _name(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise ValueError(f"not a short text: {str(value)[:100]!r}")
    return value
