"""Finds cards and bank accounts by brand or country, length and check digits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rackwright.migrate.redact.checksums import digits_of, iban, luhn
from rackwright.migrate.redact.find import Finder, extents
from rackwright.migrate.redact.long_numbers import NUMBER

_CARDS = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}|(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)[0-9]{12,14}|3[47][0-9]{13}"
    r"|(?:30[0-5]|36|38|39)[0-9]{11,12}|(?:6011|65|64[4-9]|62|81|35(?:2[89]|[3-8]))[0-9]{12,17}"
    r"|(?:50|5[6-9]|6[0-9])[0-9]{14,17}"
)
_IBAN_LENGTHS = {
    one[:2]: int(one[2:])
    for one in (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 "
        "EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 "
        "JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 "
        "NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 "
        "TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
    ).split()
}


def _card(text: str, start: int) -> int | None:
    number, ends = "", []
    for one, end in _collected(text, start, 19):
        if not one.isdigit():
            break
        number += one
        ends.append(end)
    for length in range(len(number), 12, -1):
        part = number[:length]
        brand = _CARDS.fullmatch(part) and not re.fullmatch(r"(.)\1*", part)
        if brand and _ends_word(text, ends[length - 1]) and luhn(digits_of(part)):
            return ends[length - 1]
    return None


def _iban(text: str, start: int) -> int | None:
    length = _IBAN_LENGTHS.get(text[start : start + 2].upper())
    if length is None:
        return None
    collected = list(_collected(text, start, length))
    if len(collected) < length or not _ends_word(text, collected[-1][1]):
        return None
    return collected[-1][1] if iban("".join(one for one, _ in collected).upper()) else None


def _collected(text: str, start: int, most: int) -> Iterator[tuple[str, int]]:
    """Yield the letters and digits from a position, with single spaces or dashes between them, and each one's end."""
    end = start
    for _ in range(most):
        if end < len(text) and text[end] in " -" and end > start:
            end += 1
        if end >= len(text) or not (text[end].isascii() and text[end].isalnum()):
            return
        end += 1
        yield text[end - 1], end


def _ends_word(text: str, end: int) -> bool:
    after = text[end : end + 2]
    return not (after[:1].isalnum() or after[:1] == "_" or (after[:1] == "." and after[1:].isdigit()))


FINDERS: tuple[Finder, ...] = (
    ("iban", NUMBER, extents(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?=[ -]?[A-Za-z0-9]{4})", _iban)),
    ("card", NUMBER, extents(r"(?<![\w.])(?<![0-9][-])[2-68][0-9]{3}(?=[ -]?[0-9]{2})", _card)),
)
