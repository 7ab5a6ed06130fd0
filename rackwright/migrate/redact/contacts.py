"""Finds addresses of mail, and phone numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rackwright.migrate.redact.checksums import digits_of
from rackwright.migrate.redact.find import Find, Finder, any_of, spans
from rackwright.migrate.redact.long_numbers import NUMBER

_DOMAIN = re.compile(r"@[^\W_](?:[\w-]{0,62})(?:\.[\w-]{1,63}){0,8}\.[^\W\d_]{2,24}(?![^\W_])")


def _mails(text: str, *_: int) -> Iterator[tuple[int, int]]:
    done = 0
    for found in _DOMAIN.finditer(text):
        start = found.start()
        while start > done and (text[start - 1].isalnum() or text[start - 1] in "._%+-"):
            start -= 1
        # git@ is not a person but the user of every git server.
        if start < found.start() and text[start : found.start()] != "git":
            yield start, found.end()
        done = found.end()


def _phone(text: str) -> bool:
    return 9 <= len(digits_of(text)) <= 15


_PHONES: tuple[Find, ...] = (
    spans(r"(?<![\w+])\+[1-9](?:[ ().\u00a0/-]{0,3}[0-9]){7,14}(?!\w)", check=_phone),
    spans(r"(?<![\w.+/-])00[1-9][0-9]{1,3}[ /-](?:[ ()/-]{0,3}[0-9]){6,12}(?![\w-])", check=_phone),
    spans(
        r"(?<![\w.+/-])(?:\(0[1-9][0-9]{1,4}\)|0[1-9][0-9]{1,4})[ /-]{1,3}[0-9]{3,8}(?:[ -][0-9]{2,6}){0,3}"
        r"(?![\w-]|\.[0-9])",
        check=_phone,
    ),
    spans(r"(?<![\w.+/-])(?<![0-9]{2}[ ])0[1-9](?:([ .])[0-9]{2})(?:\1[0-9]{2}){3}(?!\w|[ .][0-9])"),
    spans(r"(?<![\w.+/-])(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-.])[2-9][0-9]{2}[-.][0-9]{4}(?![\w-]|\.[0-9])"),
)
MAIL: Finder = ("email", any_of("@"), _mails)
PHONES: tuple[Finder, ...] = tuple(("phone", NUMBER, phone) for phone in _PHONES)
