"""Parse what hosts answered: the result is a value, or an error for that host alone, whatever it printed."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from rackwright.errors import HostError, RackwrightError
from rackwright.remote.completed import Completed, checked

Value = TypeVar("Value")
Words = ParamSpec("Words")

_NEXT = "log in and look for what changes the output of commands there: a replaced program, a shell profile"


class UnreadableAnswer(HostError):
    """The host answered something that its question doesn't allow."""


def read_answer(
    host: str, what: str, parse: Callable[Words, Value], *answer: Words.args, **options: Words.kwargs
) -> Value:
    """Return what `parse` makes of a host's answer about `what`. Raise UnreadableAnswer if it can't be parsed.

    `parse` must not be a generator: its errors would come later.
    """
    try:
        return parse(*answer, **options)
    except HostError:
        raise
    except RackwrightError as error:
        problem = error.problems[0]
        said = str(replace(problem, next=None)).removeprefix(f"{host}: ")
        raise unreadable(host, f"{what}: {said}", problem.next) from error
    except Exception as error:
        # A parser can fail in any way: what it reads was written by a host that may be broken or hostile.
        raise unreadable(host, what) from error


def read_each(
    answers: Mapping[str, Completed | HostError], what: str, parse: Callable[[str], Value]
) -> dict[str, Value | HostError]:
    """Return what `parse` makes of each host's standard output, or a HostError: it is unreachable, the command
    failed there, or it answered something that can't be parsed."""
    return {name: _read(name, answer, what, parse) for name, answer in checked(answers, what).items()}


def _read(name: str, answer: Completed | HostError, what: str, parse: Callable[[str], Value]) -> Value | HostError:
    try:
        return answer if isinstance(answer, HostError) else read_answer(name, what, parse, answer.stdout)
    except HostError as error:
        return error


def unreadable(host: str, what: str, next: str | None = None) -> UnreadableAnswer:
    """Return the error for a host's answer about `what`. To be called while the parser's error is handled."""
    said = f"answered something that rackwright can't read: {what}{_place(sys.exception())}"
    return UnreadableAnswer(said, where=host, next=next or _NEXT)


def _place(error: BaseException | None) -> str:
    """Return where a parser failed: it may be a bug of ours. Our own errors say what is wrong themselves."""
    if error is None or isinstance(error, RackwrightError):
        return ""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f" ({type(error).__name__} at {Path(last.filename).name}:{last.lineno})"
