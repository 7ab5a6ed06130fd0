"""A YAML document as a tree of nodes with their lines, and the problems found in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from rackwright.errors import Problem
from rackwright.fleet.reading.leaks import looks_like

Value = str | int | float | bool | None


@dataclass(frozen=True, eq=False)
class Node:
    file: str
    line: int
    path: tuple[str, ...]
    """Keys from the top; positions in a list are written "[0]"."""

    @property
    def place(self) -> str:
        """FILE:LINE"""
        return f"{self.file}:{self.line}"

    @property
    def where(self) -> str:
        """FILE:LINE key.path"""
        return f"{self.place} {dotted(self.path)}".rstrip()


@dataclass(frozen=True, eq=False)
class Scalar(Node):
    value: Value
    text: str
    """As written, without quotes."""


@dataclass(frozen=True, eq=False)
class Items(Node):
    items: tuple[AnyNode, ...]


@dataclass(frozen=True, eq=False)
class Entry:
    key: Scalar
    value: AnyNode


@dataclass(frozen=True, eq=False)
class Entries(Node):
    entries: Mapping[str, Entry]

    def get(self, *keys: str) -> AnyNode | None:
        """Return the node at a path of keys below this one, or None."""
        node: AnyNode | None = self
        for key in keys:
            entry = node.entries.get(key) if isinstance(node, Entries) else None
            node = entry.value if entry else None
        return node

    def maps(self, key: str) -> Iterator[tuple[str, Entries]]:
        """Yield each name with its mapping below `key`; other values are skipped."""
        below = self.get(key)
        if isinstance(below, Entries):
            for name, entry in below.entries.items():
                if isinstance(entry.value, Entries):
                    yield name, entry.value


AnyNode = Scalar | Items | Entries


def dotted(path: tuple[str, ...]) -> str:
    """Return a path as people write it: models.assistant.place[0].on. Keys that look like a secret are left out."""
    return ".".join(_shown(part) for part in path).replace(".[", "[")


def _shown(part: str) -> str:
    if looks_like(part):
        return "…"
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}|\[\d+\]", part):
        return part
    return ascii(part if len(part) <= 40 else part[:39] + "…")


def plain(node: AnyNode) -> object:
    """Return a node as dicts, lists and values, for pydantic."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {key: plain(entry.value) for key, entry in node.entries.items()}


def leaves(node: AnyNode, below: str = "") -> Iterator[tuple[str, AnyNode]]:
    """Yield each setting (like ssh.user) with its node; a list counts as one setting."""
    if not isinstance(node, Entries):
        yield below, node
        return
    for key, entry in node.entries.items():
        yield from leaves(entry.value, f"{below}.{key}" if below else key)


def scalars(node: AnyNode | None) -> Iterator[Scalar]:
    """Yield every scalar at and below a node, keys included."""
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Items):
        for item in node.items:
            yield from scalars(item)
    elif isinstance(node, Entries):
        for entry in node.entries.values():
            yield entry.key
            yield from scalars(entry.value)


def texts(node: AnyNode | None) -> Iterator[Scalar]:
    """Yield the text scalars of a node that is a scalar or a list of them; other nodes are skipped."""
    for item in node.items if isinstance(node, Items) else (node,):
        if isinstance(item, Scalar) and isinstance(item.value, str):
            yield item


def all_texts(node: AnyNode | None) -> Iterator[Scalar]:
    """Yield the text scalars of a node as in `texts`, including nested lists."""
    for item in node.items if isinstance(node, Items) else (node,):
        yield from texts(item)


def moved(node: AnyNode, path: tuple[str, ...]) -> AnyNode:
    """Return a copy of a node with another path."""
    if isinstance(node, Scalar):
        return replace(node, path=path)
    if isinstance(node, Items):
        items = tuple(moved(item, (*path, f"[{number}]")) for number, item in enumerate(node.items))
        return replace(node, path=path, items=items)
    entries = {
        key: Entry(replace(entry.key, path=(*path, key)), moved(entry.value, (*path, key)))
        for key, entry in node.entries.items()
    }
    return replace(node, path=path, entries=entries)


@dataclass
class Findings:
    """Collects problems. The first one at a place is kept; later ones there are consequences of it."""

    found: dict[tuple[str, int, tuple[str, ...]], tuple[Problem, ...]] = field(default_factory=dict)

    def add(self, node: Node, what: str, should: str | None = None, next: str | None = None) -> None:
        key = (node.file, node.line, node.path)
        self.found.setdefault(key, (Problem(node.where, what, should, next),))

    def more(self, node: Node, what: str, should: str | None = None) -> None:
        """Add another problem at the same place, like a second missing key; duplicates are left out."""
        key = (node.file, node.line, node.path)
        problem = Problem(node.where, what, should)
        if problem not in self.found.get(key, ()):
            self.found[key] = (*self.found.get(key, ()), problem)

    def problems(self, files: tuple[str, ...]) -> tuple[Problem, ...]:
        """Return all problems, by file in the order given, then by line."""
        order = {name: number for number, name in enumerate(files)}
        keys = sorted(self.found, key=lambda key: (order.get(key[0], len(order)), key[1], key[2]))
        return tuple(problem for key in keys for problem in self.found[key])
