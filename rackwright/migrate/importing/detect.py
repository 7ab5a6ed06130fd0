"""Finds out what a log is from its beginning."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rackwright.migrate.importing.found import Format

_ARCHIVE = re.compile(rb'\s*\{\s*"log"\s*:\s*\{')
_PAGE = re.compile(rb'\s*\{\s*"(?:object"\s*:\s*"list"|data"\s*:\s*\[)')
_LITELLM = frozenset(("call_type", "startTime", "proxy_server_request", "model_parameters"))


@dataclass(frozen=True)
class Shape:
    """How the items of a file are found."""

    archive: bool
    prefix: str | None
    """Where ijson finds the items; None: each line is one."""


def shape_of(head: bytes) -> Shape | None:
    """Given a file's first bytes, return its shape; None: it isn't JSON."""
    start = head.lstrip()[:1]
    if start not in (b"{", b"["):
        return None
    if _ARCHIVE.match(head):
        return Shape(True, "log.entries.item")
    if start == b"[":
        return Shape(False, "item")
    if _PAGE.match(head):
        return Shape(False, "data.item")
    # A value over several lines is a document; one of several values should be on a line of its own.
    first = head.lstrip().partition(b"\n")[0].rstrip()
    return Shape(False, "" if first == b"{" else None)


def format_of(item: object) -> Format:
    """Return the format that an item looks like."""
    if isinstance(item, dict):
        if item.get("object") == "chat.completion":
            return "openai"
        if len(_LITELLM & item.keys()) >= 2:
            return "litellm"
        if isinstance(item.get("request"), dict) and "startedDateTime" in item:
            return "har"
    return "jsonl"
