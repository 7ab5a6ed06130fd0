"""Patterns of national identity numbers, each with its check."""

from __future__ import annotations

from collections.abc import Callable

from rackwright.migrate.redact import checksums
from rackwright.migrate.redact.checksums import digits_of, luhn
from rackwright.migrate.redact.find import Finder, matches, spans
from rackwright.migrate.redact.long_numbers import NUMBER

_FISCAL_CODE = r"(?<![\w-])[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z](?![\w-])"
_NO_WORD = r"(?<![\w.+/-])(?:{})(?![\w-]|\.[0-9])"
_DATE = r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_NATIONAL: tuple[tuple[str, Callable[[str], bool]], ...] = (
    (r"[0-9]{11}", checksums.eleven_digits),
    (r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", checksums.cpf),
    (r"[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}", checksums.steuer_id),
    (r"[12][ .]?[0-9]{2}[ .]?[0-9]{2}[ .]?[0-9]{2}[ .]?[0-9]{3}[ .]?[0-9]{3}[ .]?[0-9]{2}", checksums.nir),
    (r"[1-9][0-9]{5}(?:19|20)" + _DATE + r"[0-9]{3}[0-9Xx]", checksums.chinese),
    (r"756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}", checksums.swiss),
    (r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", checksums.belgian),
    (r"(?:[0-9]{8}|[XYZ]-?[0-9]{7})-?[A-HJ-NP-TV-Z]", checksums.spanish),
    (r"[0-3][0-9][01][0-9]{3}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]", checksums.finnish),
    (_DATE + r"[-+][0-9]{4}", lambda text: luhn(digits_of(text))),
    # The number of US social security has no checksum, but no other common number is written like this.
    (r"(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}", lambda _: True),
)

FINDERS: tuple[Finder, ...] = (
    *(("national-id", NUMBER, spans(_NO_WORD.format(pattern), check=check)) for pattern, check in _NATIONAL),
    (
        "national-id",
        matches("[0-9]{2}[a-z][0-9]{2}[a-z][0-9]{3}[a-z]"),
        spans(_FISCAL_CODE, check=checksums.fiscal_code),
    ),
)
