"""Why restic refused, in words: lost, wrong password, out of reach or damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rackwright.lifecycle.backup.reader import Reader
from rackwright.lifecycle.backup.restic_here import LOCKED, NO_REPOSITORY, WRONG_PASSWORD
from rackwright.remote.completed import Completed

_TIMED_OUT = (124, 137)
_LONGEST = 300


def refusal(reader: Reader, answer: Completed) -> str:
    """Given restic's result with an exit status other than 0, return the reason in one line."""
    if answer.exit_status == NO_REPOSITORY and reader.folder:
        if reader.here:
            return f"{reader.folder} is a folder of {reader.host}, and not on this machine"
        return f"no repository is in {reader.folder}; is it mounted?"
    return reason(answer)


def reason(answer: Completed) -> str:
    """Given restic's result with an exit status other than 0, return the reason, without the repository's place."""
    status = answer.exit_status
    if status == NO_REPOSITORY:
        return "no repository is there"
    if status == WRONG_PASSWORD:
        return "wrong password"
    said = last_words(answer.stderr)
    if status == LOCKED:
        return f"locked: {said}"
    if status in _TIMED_OUT:
        return f"doesn't answer in time: {said}"
    return f"can't be read: {said}"


def last_words(errors: str) -> str:
    """Return what restic said last, in one line of bounded length."""
    lines = [text for line in errors[-20_000:].splitlines() if line.strip() for text in _texts(line)]
    # restic 0.18 crashes on some damaged repositories.
    fatal = [line for line in lines if line.startswith(("Fatal: ", "panic: "))]
    said = (fatal or lines or ["restic said nothing"])[-1]
    return said.removeprefix("Fatal: ")[:_LONGEST]


def _texts(line: str) -> Iterator[str]:
    """Yield the lines of an error of restic's, which may be JSON."""
    try:
        document = json.loads(line) if line.startswith("{") else None
    except (ValueError, RecursionError):
        document = None
    message = document.get("message") if isinstance(document, dict) else None
    yield from str(message or line).strip().splitlines()[:1]
