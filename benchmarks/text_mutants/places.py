"""The lines of a file that can be mutated: no comments, no docstrings, and in Python only strings."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_COMMENT = re.compile(r"(^|\s)(#|--) .*|{#.*#}|^#!.*")


@dataclass(frozen=True)
class Place:
    """A line, and the part of it that mutants may change."""

    number: int
    """From 1."""
    text: str
    start: int
    end: int

    @property
    def whole(self) -> bool:
        """Whether the part is all that the line has, so that the line can go."""
        return self.text[self.start : self.end].strip() == self.text.strip()


def places(path: Path) -> list[Place]:
    """Return what can be mutated, in order."""
    text = path.read_text()
    found = _strings(text) if path.suffix == ".py" else _lines(text)
    return [place for place in found if place.text[place.start : place.end].strip()]


def _lines(text: str) -> Iterator[Place]:
    for number, line in enumerate(text.splitlines(), 1):
        comment = _COMMENT.search(line)
        yield Place(number, line, 0, comment.start() if comment else len(line))


def _strings(text: str) -> Iterator[Place]:
    """Yield each line of each string that isn't a docstring, without its quotes."""
    lines, docstrings = text.splitlines(), _docstrings(text)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        # Python 3.12 and newer have tokens of their own for parts of f-strings.
        if tokenize.tok_name[token.type] not in ("STRING", "FSTRING_MIDDLE") or token.start[0] in docstrings:
            continue
        opening = re.match(r"\w*(\"\"\"|'''|\"|')", token.string)
        skipped, quote = (opening.end(), len(opening[1])) if opening else (0, 0)
        for number in range(token.start[0], token.end[0] + 1):
            line = lines[number - 1]
            start = token.start[1] + skipped if number == token.start[0] else 0
            end = token.end[1] - quote if number == token.end[0] else len(line)
            comment = _COMMENT.search(line[start:end])
            yield Place(number, line, start, start + comment.start() if comment else end)


def _docstrings(text: str) -> set[int]:
    """Return the first lines of docstrings: those of modules, functions and names."""
    nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr))
    return {node.lineno for node in nodes if isinstance(node.value, ast.Constant)}
