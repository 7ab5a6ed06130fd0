"""Where the project's text has an old word: pages, help, messages, comments and docstrings, and no program code."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.words.old_words import OLD

FOLDERS = ("rackwright", "roles", "deploys", "docs", "inventory")
FILES = ("README.md", "CONTRIBUTING.md")
SUFFIXES = (".py", ".md", ".yml", ".j2", ".sh", ".html", ".lua")
_CODE_SPAN = re.compile(r"`[^`]*`")
_EXPRESSION = re.compile(r"\{[^{}]*\}")


def found(root: Path, only: Iterable[str] = ()) -> Iterator[tuple[str, str, str]]:
    """Yield FILE:LINE, the word and what to write instead. `only`: these files or folders, all text if empty."""
    for path in _files(root, tuple(only)):
        for number, text in _texts(path):
            for pattern, better in OLD:
                for match in pattern.finditer(text):
                    yield f"{path.relative_to(root)}:{number}", match[1], better


def _files(root: Path, only: tuple[str, ...]) -> Iterator[Path]:
    for name in only or (*FOLDERS, *FILES):
        start = root / name
        for path in [start] if start.is_file() else sorted(start.rglob("*")):
            if path.is_file() and not path.is_symlink() and path.suffix in SUFFIXES and not _foreign(path, root):
                yield path


def _foreign(path: Path, root: Path) -> bool:
    """rackwright/roles and rackwright/deploys are links to folders that are read under their own names."""
    return path.resolve().relative_to(root) != path.relative_to(root)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from _python(content)
    elif path.suffix in (".sh", ".lua", ".j2"):
        yield from _comments(content)
    else:
        yield from ((number, _CODE_SPAN.sub("", line)) for number, line in enumerate(content.splitlines(), 1))


def _comments(content: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(content.splitlines(), 1):
        match = re.search(r"(?:^|\s)(?:#|--)\s(.*)", line)
        if match:
            yield number, match[1]


def _python(content: str) -> Iterator[tuple[int, str]]:
    """Strings that are sentences, docstrings and comments; one word alone is a name."""
    for start, string in _strings(content):
        text = _EXPRESSION.sub("X", _CODE_SPAN.sub("", string))
        if " " in text.strip("\"'rbfRBF "):
            yield from ((start + index, line) for index, line in enumerate(text.splitlines()))


def _strings(content: str) -> Iterator[tuple[int, str]]:
    """Yield each string and comment with its first line. Python 3.12 and newer split an f-string into tokens."""
    start, parts, depth = 0, list[str](), 0
    for token in tokenize.generate_tokens(io.StringIO(content).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            depth += 1
            start, parts = (token.start[0], []) if depth == 1 else (start, parts)
        elif kind == "FSTRING_END":
            depth -= 1
            if not depth:
                yield start, "".join(parts)
        elif kind == "FSTRING_MIDDLE" and depth == 1:
            parts.append(token.string)
        elif token.string == "{" and depth == 1:
            parts.append("X")
        elif kind in ("STRING", "COMMENT") and not depth:
            yield token.start[0], token.string
