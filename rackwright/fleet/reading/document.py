"""Read one YAML file into nodes: YAML 1.2, one document, no tags, limited depth and size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from rackwright.fleet.reading.leaks import looks_like
from rackwright.fleet.reading.nodes import (
    AnyNode,
    Entries,
    Entry,
    Findings,
    Items,
    Node,
    Scalar,
    Value,
    dotted,
    moved,
    scalars,
)
from rackwright.fleet.reading.text import read_text, refuse

MAX_DEPTH = 32
EXAMPLES = {"fleet file": "rackwright init other.yml, for an example"}
MAX_NODES = 50_000

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_BASED = re.compile(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def read_document(path: Path, findings: Findings, called: str = "fleet file") -> Entries:
    """Return the mapping of a YAML file; duplicate keys and secrets go to `findings`. `called`: what errors call it.

    Raise FleetError if the file can't be read as a mapping."""
    text = read_text(path, called)
    root = _Reader(str(path), text, findings, called).document()
    _find_secrets(root, text, findings)
    return root


def value_of(text: str) -> Value:
    """Return the value of a plain scalar by YAML 1.2's core schema: `no` and 2026-01-01 are text."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _find_secrets(root: Entries, text: str, findings: Findings) -> None:
    should = "this file must not contain secrets: use env:NAME, file:PATH or cmd:…"
    for scalar in scalars(root):
        if kind := looks_like(scalar.text):
            findings.add(scalar, f"contains {kind}", should)
    for number, line in enumerate(text.split("\n"), 1):
        comment = re.search(r"(^|\s)#.*", line)
        if comment and (kind := looks_like(comment[0])):
            findings.add(Node(root.file, number, ()), f"contains {kind}", should)


class _Reader:
    def __init__(self, file: str, text: str, findings: Findings, called: str) -> None:
        self.file = file
        self.called = called
        self.text = text
        self.findings = findings
        self.count = 0
        self.line = 1
        self.anchors: dict[str, AnyNode] = {}
        self.sizes: dict[str, int] = {}
        self.open_anchors: list[str] = []

    def document(self) -> Entries:
        self.events = self._events()
        node: AnyNode | None = None
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                if node is not None:
                    self.refuse("a second document starts here", f"a {self.called} is one document; remove the ---")
                if event.version not in (None, (1, 2)):
                    self.refuse("asks for another version of YAML", "should be YAML 1.2; remove the %YAML line")
            elif isinstance(event, NodeEvent):
                node = self._node(event, (), self.line)
        if node is None or (isinstance(node, Scalar) and node.value is None):
            refuse(self.file, "is empty", f"should be the {self.called}", EXAMPLES.get(self.called))
        if not isinstance(node, Entries):
            refuse(node.place, "is not a mapping", "should start with a key, like 'fleet: acme'")
        return node

    def refuse(self, what: str, should: str | None = None) -> NoReturn:
        refuse(f"{self.file}:{self.line}", what, should)

    def _events(self) -> Iterator[Event]:
        """Yield the parser's events. ruamel.yaml's own composer would recurse, and expand aliases without a limit."""
        try:
            for event in YAML(typ="safe", pure=True).parse(self.text):
                self.line = event.start_mark.line + 1
                yield event
        except MarkedYAMLError as error:
            at_end = "end of stream" in str(error.problem) and error.context_mark
            mark = error.context_mark if at_end else error.problem_mark or error.context_mark
            where = f"{self.file}:{mark.line + 1}:{mark.column + 1}" if mark else f"{self.file}:{self.line}"
            context = f" {error.context}" if error.context else ""
            what = "not valid YAML" if looks_like(str(error.problem)) else f"not valid YAML: {error.problem}{context}"
            refuse(where, what, "check indentation, quotes and brackets around this line")
        except (YAMLError, ValueError, ArithmeticError, LookupError, AttributeError, AssertionError, TypeError):
            # For escapes like \U00110000, ruamel.yaml 0.19's scanner raises ValueError and OverflowError.
            refuse(f"{self.file}:{self.line}", "not valid YAML", "check this line and the next")

    def _node(self, event: Event, path: tuple[str, ...], line: int) -> AnyNode:
        if len(path) > MAX_DEPTH:
            self.refuse(
                f"is nested deeper than {MAX_DEPTH} levels",
                f"a {self.called} needs about 6 levels; check the brackets",
            )
        if isinstance(event, AliasEvent):
            return self._alias(str(event.anchor), path)
        self._counted(1)
        if not isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent):
            self.refuse("not valid YAML", "check this line and the one above")
        if event.tag is not None:
            self.refuse("has a YAML tag (!…)", f"remove it: a {self.called} has plain values only")
        before = self.count
        if event.anchor:
            self.open_anchors.append(event.anchor)
        node = self._content(event, path, line)
        if event.anchor:
            self.open_anchors.pop()
            self.anchors[event.anchor] = node
            self.sizes[event.anchor] = self.count - before + 1
        return node

    def _content(
        self, event: ScalarEvent | SequenceStartEvent | MappingStartEvent, path: tuple[str, ...], line: int
    ) -> AnyNode:
        if isinstance(event, ScalarEvent):
            value = value_of(event.value) if event.implicit[0] else event.value
            # The position of a missing value is the start of the next token.
            own = event.start_mark.line + 1 if event.value else line
            return Scalar(self.file, own, path, value, event.value)
        if isinstance(event, SequenceStartEvent):
            return Items(self.file, line, path, tuple(self._items(path)))
        return self._mapping(path, line)

    def _counted(self, more: int) -> None:
        self.count += more
        if self.count > MAX_NODES:
            self.refuse(
                f"more than {MAX_NODES:,} values, aliases counted in full", "shorten the file, or use fewer aliases"
            )

    def _alias(self, name: str, path: tuple[str, ...]) -> AnyNode:
        if not name.isprintable():
            self.refuse("an alias has an invisible character in its name", "use letters, digits, - and _")
        if name in self.open_anchors:
            self.refuse(f"the alias *{name} is inside its own anchor", "an alias can't contain itself")
        if name not in self.anchors:
            self.refuse(f"the alias *{name} has no anchor", f"write &{name} above it")
        self._counted(self.sizes[name])
        return moved(self.anchors[name], path)

    def _items(self, path: tuple[str, ...]) -> Iterator[AnyNode]:
        number = 0
        while not isinstance(event := self._next(), SequenceEndEvent):
            yield self._node(event, (*path, f"[{number}]"), event.start_mark.line + 1)
            number += 1

    def _mapping(self, path: tuple[str, ...], line: int) -> Entries:
        entries: dict[str, Entry] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            key = self._key(event, path)
            value = self._node(self._next(), (*path, key.text), key.line)
            if key.text in entries:
                first = entries[key.text].key
                self.findings.add(key, f"the key appears twice, first in line {first.line}", "remove one of them")
            else:
                entries[key.text] = Entry(key, value)
        return Entries(self.file, line, path, entries)

    def _key(self, event: Event, path: tuple[str, ...]) -> Scalar:
        if not isinstance(event, ScalarEvent) or event.anchor or event.tag is not None:
            self.refuse(
                f"{dotted(path)} has a key that is not plain text".strip(), "a key is one word before a colon"
            )
        self._counted(1)
        if event.value == "<<":
            self.refuse("'<<' is not in YAML 1.2", "use defaults, groups, extends or a plain alias")
        return Scalar(self.file, event.start_mark.line + 1, (*path, event.value), event.value, event.value)

    def _next(self) -> Event:
        event = next(self.events, None)
        if event is None:
            self.refuse("ends too early", "check brackets and quotes")
        return event
