"""The file of a golden set: JSON lines, with every problem reported at its line."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

from rackwright.errors import FleetError, Problem
from rackwright.fleet.golden.golden_set import LEAST, GoldenSet, Prompt
from rackwright.fleet.reading.error_messages import validated
from rackwright.fleet.reading.nodes import AnyNode, Entries, Entry, Findings, Items, Node, Scalar, Value
from rackwright.fleet.reading.text import refuse

MAX_BYTES = 20_000_000
MOST = 5000
"""The most prompts: more would take hours and improve the result very little."""
MAX_DEPTH = 64
_NEXT = "rackwright schema --golden, for the keys of a line"


def read_golden_set(path: Path) -> GoldenSet:
    """Return the golden set. Raise FleetError with every problem and its line if it can't be read or isn't valid."""
    data, name, findings = _bytes(path), str(path), Findings()
    lines = [(number, line) for number, line in enumerate(_lines(data, name), 1) if line.strip()]
    if not lines:
        refuse(name, "is empty", "should have a prompt on each line", _NEXT)
    if len(lines) > MOST:
        refuse(name, f"has {len(lines)} prompts", f"a golden set has at most {MOST}")
    nodes = [_node_of(name, number, line, findings) for number, line in lines]
    prompts = [validated(Prompt, node, findings) for node in nodes if node]
    _find_doubles([node for node in nodes if node], findings)
    if problems := findings.problems((name,)) + _too_few(name, len(lines)):
        raise FleetError(problems)
    return GoldenSet(tuple(prompt for prompt in prompts if prompt), hashlib.sha256(data).hexdigest())


def _too_few(name: str, count: int) -> tuple[Problem, ...]:
    if count >= LEAST:
        return ()
    return (Problem(name, f"has {count} prompt{'' if count == 1 else 's'}", f"a golden set has at least {LEAST}"),)


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes() if path.is_file() else None
    except OSError as error:
        refuse(str(path), f"can't be read: {error.strerror}", "should be a file that you may read")
    if data is None:
        refuse(str(path), "no such file", "should be the golden set, a file of JSON lines", _NEXT)
    if len(data) > MAX_BYTES:
        refuse(str(path), f"is too large ({len(data) / 1e6:.1f} MB)", f"should be at most {MAX_BYTES / 1e6:.0f} MB")
    return data


def _lines(data: bytes, name: str) -> list[str]:
    try:
        # JSON strings may contain other line separators than \n.
        return data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        refuse(f"{name}:{line}", f"has the byte 0x{data[error.start]:02x}, which is not UTF-8", "save it as UTF-8")


def _node_of(file: str, number: int, line: str, findings: Findings) -> AnyNode | None:
    place = Node(file, number, ())
    try:
        found = json.loads(line, object_pairs_hook=_Object, parse_float=_finite, parse_constant=_no_number)
        node = _node(found, file, number, ())
    except json.JSONDecodeError as error:
        findings.add(
            place, f"is not JSON: {error.msg} at character {error.pos + 1}", "should be one object on each line"
        )
    except (ValueError, RecursionError) as error:
        why = "is nested too deeply" if isinstance(error, RecursionError) else str(error)
        findings.add(place, why, "should be one object on each line")
    else:
        if isinstance(node, Entries):
            return node
        findings.add(place, "is not an object", 'should be like {"id": …, "messages": […], "check": {…}}')
    return None


class _Object(list[tuple[str, object]]):
    """An object's pairs as written: a JSON parser would drop one of two pairs with the same key."""


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"has {text[:40]}, which is too large a number")
    return number


def _no_number(text: str) -> object:
    raise ValueError(f"has {text}, which is not valid in JSON")


def _node(found: object, file: str, line: int, path: tuple[str, ...]) -> AnyNode:
    if len(path) > MAX_DEPTH:
        raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(found, _Object):
        return Entries(file, line, path, dict(_entries(found, file, line, path)))
    if isinstance(found, list):
        items = (_node(item, file, line, (*path, f"[{number}]")) for number, item in enumerate(found))
        return Items(file, line, path, tuple(items))
    value: Value = found if isinstance(found, str | int | float | bool) else None
    return Scalar(file, line, path, value, str(found))


def _entries(found: _Object, file: str, line: int, path: tuple[str, ...]) -> Iterator[tuple[str, Entry]]:
    seen = set()
    for key, value in found:
        if key in seen:
            raise ValueError(f"has the key {key!a} twice")
        seen.add(key)
        below = (*path, key)
        yield key, Entry(Scalar(file, line, below, key, key), _node(value, file, line, below))


def _find_doubles(nodes: list[AnyNode], findings: Findings) -> None:
    first: dict[str, Node] = {}
    for node in nodes:
        name = node.get("id") if isinstance(node, Entries) else None
        if isinstance(name, Scalar) and isinstance(name.value, str):
            if name.value in first:
                findings.add(name, f"is also the id of line {first[name.value].line}", "give each prompt its own id")
            first.setdefault(name.value, name)
