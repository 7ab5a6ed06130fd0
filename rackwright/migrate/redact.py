"""Replaces personal data and secrets in a request's body. Standard library only: gateways run this same file.

Every pattern has an upper limit for each repeat and can't start inside a run that it has already refused, so the time
grows linearly with the text, whatever the text is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import ipaddress
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

MOST_DEPTH = 60
"""Levels of lists and objects; what is deeper is replaced as a whole."""
MOST_STEPS = 2000
"""The most steps from one position of a text that an operator's pattern may need."""
OPAQUE = 2048
"""A text of at least so many characters of base64 is data, not language."""

Find = Callable[[str, int, int], Iterator[tuple[int, int]]]
"""Takes a text and the part to search; yields where something is: first character, and the one after its last."""
MayHave = Callable[[str], object]
"""Whether a text in lower case can have something; a quick look, because most texts have nothing."""

_KIND = re.compile(r"[a-z][a-z0-9-]{0,23}")
_PLACEHOLDER = re.compile(r"(<[a-z][a-z0-9-]{0,23}-[0-9]{1,9}>)")
_DATA_URL = re.compile(r"data:([\w.+/-]{0,100}+)((?:;[\w.+=-]{1,100}){0,5}),([A-Za-z0-9+/_=%-]{64,}+)")
_MAY_HAVE = re.compile(r"[0-9@:=!#$%&*+?^~]|[\w-]{30}")
"""What each of the built-in kinds needs; most short texts have none of it."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_SECRET_KEYS = frozenset(
    "password passwd passphrase secret api_key apikey api-key x-api-key access_token refresh_token auth_token "
    "bearer_token client_secret private_key secret_key authorization proxy-authorization cookie set-cookie".split()
)
_USER_KEYS = ("user", "safety_identifier")


class Redactor:
    """Replaces each personal datum by a placeholder like <email-1>. One Redactor per request.

    `more` has the operator's own kinds of text: kind → regular expression. Raise ValueError, with the kind, if one
    can't be used.
    """

    def __init__(self, more: Mapping[str, str] = {}) -> None:
        self._more = tuple((kind, usable(kind, pattern)) for kind, pattern in more.items())
        self._numbers: dict[str, dict[str, int]] = {}

    @property
    def counts(self) -> dict[str, int]:
        """Kind → how many different texts were replaced."""
        return {kind: len(numbers) for kind, numbers in self._numbers.items()}

    def body(self, value: object) -> object:
        """Return a JSON value without personal data: in texts, keys, numbers and JSON inside texts.

        The same text has the same placeholder everywhere in this request. Images, audio and files become an object
        with the placeholder, type, size and sha256. The result can be written as JSON in UTF-8.
        """
        if isinstance(value, dict):
            named = [(key, value[key]) for key in _USER_KEYS if _replaceable(value.get(key))]
            value = {**value, **{key: self._placeholder("user", name) for key, name in named}}
        return self._value(value, 0)

    def text(self, text: str) -> str:
        """Return a text without personal data."""
        return self._text(text, 0)

    def _value(self, value: object, depth: int) -> object:
        if isinstance(value, str):
            return self._opaque(value, "") or self._text(value, depth)
        if isinstance(value, dict | list) and depth >= MOST_DEPTH:
            return self._placeholder("nested", str(len(self._numbers.get("nested", ()))))
        if isinstance(value, dict):
            return {
                self._text(str(key), depth): self._member(str(key), one, value, depth) for key, one in value.items()
            }
        if isinstance(value, list):
            return [self._value(one, depth + 1) for one in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= 1e8:
            return self._number(value)
        return value

    def _member(self, key: str, value: object, among: Mapping[object, object], depth: int) -> object:
        """Return a value of an object, whose key may say what the value is."""
        if isinstance(value, str) and value:
            if key.lower() in _SECRET_KEYS and _replaceable(value):
                return self._placeholder("secret", value)
            if key == "data":
                kind = among.get("media_type") or (f"audio/{among['format']}" if "format" in among else "")
                return self._opaque(value, str(kind)) or self._value(value, depth + 1)
        return value if key == "seed" and isinstance(value, int) else self._value(value, depth + 1)

    def _number(self, value: int | float) -> object:
        try:
            written = str(value)
        except ValueError:
            # More digits than Python writes out.
            return self._placeholder("nested", "number")
        redacted = self._plain(written)
        return value if redacted == written else redacted

    def _text(self, text: str, depth: int) -> str:
        inner = _json_in(text) if depth < MOST_DEPTH else None
        if inner is not None:
            redacted = self._value(inner, depth + 1)
            if redacted != inner:
                return json.dumps(redacted, ensure_ascii=False)
        # A parsed object has lost a repeated key, so the text is searched as well.
        return self._plain(text)

    def _plain(self, text: str) -> str:
        text = _encodable(text)
        if _MAY_HAVE.search(text):
            lower = text.lower()
            present = {may_have for may_have in _QUICK if may_have(lower)}
            near, seen = _near_numbers(text) if _NUMBER in present else [], text
            for kind, find, where in [(kind, find, may) for kind, may, find in _FINDERS if may in present]:
                if where is _NUMBER and text is not seen:
                    near, seen = _near_numbers(text), text
                text = self._replaced(kind, find, text, near if where is _NUMBER else [(0, len(text))])
        for kind, pattern in self._more:
            parts = _PLACEHOLDER.split(text)
            parts[::2] = [self._replaced(kind, _all_of(pattern), part, [(0, len(part))]) for part in parts[::2]]
            text = "".join(parts)
        return text

    def _replaced(self, kind: str, find: Find, text: str, spans: list[tuple[int, int]]) -> str:
        parts: list[str] = []
        done = 0
        for start, end in (found for span in spans for found in find(text, *span)):
            if start >= done:
                parts += text[done:start], self._placeholder(_kind_of(kind, text, start), text[start:end])
                done = end
        return "".join((*parts, text[done:])) if parts else text

    def _placeholder(self, kind: str, text: str) -> str:
        numbers = self._numbers.setdefault(kind, {})
        return f"<{kind}-{numbers.setdefault(text, len(numbers) + 1)}>"

    def _opaque(self, text: str, kind: str) -> object:
        """Return the placeholder of an image or other data in base64; None if the text isn't that."""
        found = _DATA_URL.fullmatch(text)
        if found:
            kind, text = found[1] or "text/plain", found[3]
        elif not (_looks_opaque(text) if not kind else len(text) >= 64 and _BASE64.fullmatch(text)):
            return None
        content = _decoded(text)
        digest = hashlib.sha256(content).hexdigest()
        mark = self._placeholder(_media(kind), digest)
        return {
            "placeholder": mark,
            "type": kind[:100] or "application/octet-stream",
            "bytes": len(content),
            "sha256": digest,
        }


@lru_cache(maxsize=256)
def usable(kind: str, pattern: str) -> re.Pattern[str]:
    """Return the operator's pattern compiled; raise ValueError if it isn't valid, matches nothing, or can be slow."""
    if not _KIND.fullmatch(kind):
        raise ValueError(f"{kind}: should be a letter, then letters, digits and -, in lower case, 24 at most")
    try:
        compiled = re.compile(pattern)
        parsed = importlib.import_module("re._parser").parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{kind}: is not a regular expression: {error}") from None
    if compiled.match("") or parsed.getwidth()[0] == 0:
        raise ValueError(f"{kind}: matches an empty text; should match at least one character")
    steps, _ = _cost(_without_end(parsed))
    if steps > MOST_STEPS:
        raise ValueError(
            f"{kind}: can take very long on some texts; should have an upper limit for each * and + "
            "before its end, like [0-9]{1,12}, and no repeat within a repeat"
        )
    return compiled


def _without_end(parsed: object) -> object:
    """Return the pattern with only the least of a last `+` or `*`: nothing follows that could make it try again."""
    items = list(parsed)  # type: ignore[call-overload]
    operation, argument = items[-1]
    if str(operation) in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, _, inner = argument
        if [str(one) in ("LITERAL", "NOT_LITERAL", "IN", "ANY") for one, _ in inner] == [True]:
            items[-1] = operation, (least, least, inner)
    return items


def _cost(parsed: object) -> tuple[int, int]:
    """Return the most steps from one position, and in how many ways the pattern can match there."""
    steps, ways = 0, 1
    for operation, argument in parsed:  # type: ignore[attr-defined]
        one, more = _cost_of(str(operation), argument)
        steps += ways * one
        ways *= more
        if steps > MOST_STEPS or ways > MOST_STEPS:
            return MOST_STEPS + 1, MOST_STEPS + 1
    return steps, ways


def _cost_of(operation: str, argument: object) -> tuple[int, int]:
    too_many = MOST_STEPS + 1, MOST_STEPS + 1
    match operation, argument:
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT", (int(least), most, inner):
            steps, ways = _cost(inner)
            limit = int(str(most)) if str(most).isdigit() else MOST_STEPS + 1
            if limit > MOST_STEPS or steps > MOST_STEPS or (ways > 1 and limit > 12):
                return too_many
            paths = sum(ways**count for count in range(least, limit + 1))
            return steps * limit * (ways ** max(0, limit - 1)), 1 if operation == "POSSESSIVE_REPEAT" else paths
        case "SUBPATTERN", (_, _, _, inner):
            return _cost(inner)
        case "ATOMIC_GROUP", inner:
            return _cost(inner)[0], 1
        case "BRANCH", (_, list(branches)):
            costs = [_cost(branch) for branch in branches]
            return sum(steps for steps, _ in costs), sum(ways for _, ways in costs)
        case "ASSERT" | "ASSERT_NOT", (_, inner):
            return _cost(inner)[0], 1
        case (("GROUPREF" | "GROUPREF_EXISTS" | "GROUPREF_IGNORE"), _):
            return too_many
    return 1, 1


def _replaceable(value: object) -> bool:
    return isinstance(value, str) and bool(value) and not _PLACEHOLDER.fullmatch(value)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def _json_in(text: str) -> object:
    """Return the list or object that a text is; None if it isn't one."""
    if text[:64].lstrip()[:1] not in ("{", "["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def _looks_opaque(text: str) -> bool:
    return (
        len(text) >= OPAQUE
        and bool(_BASE64.fullmatch(text))
        and all(re.search(some, text) for some in ("[a-z]", "[A-Z]", "[0-9]"))
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_" if "-" in text or "_" in text else None)
    except (binascii.Error, ValueError):
        return text.encode(errors="replace")


def _media(kind: str) -> str:
    top = kind.partition("/")[0]
    return top if top in ("image", "audio", "video") else "file"


def _kind_of(kind: str, text: str, start: int) -> str:
    """Return the kind of data in a data: URL inside other text; otherwise the kind itself."""
    if kind != "file":
        return kind
    found = _DATA_URL.match(text, start)
    return _media(found[1]) if found else kind


def _all_of(pattern: re.Pattern[str]) -> Find:
    return lambda text, start, end: (found.span() for found in pattern.finditer(text, start, end))


def _spans(pattern: str, *, check: Callable[[str], bool] | None = None, flags: int = 0) -> Find:
    """Find a pattern, or its group `it`, where `check` accepts it."""
    compiled = re.compile(pattern, flags)
    group = "it" if "it" in compiled.groupindex else 0

    def find(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        for found in compiled.finditer(text, start, end):
            span = found.span(group)
            if check is None or check(text[slice(*span)]):
                yield span

    return find


def _extents(starts: str, extent: Callable[[str, int], int | None]) -> Find:
    """Find what begins where `starts` matches and has the end that `extent` returns; None: it is nothing."""
    compiled = re.compile(starts)

    def find(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        for found in compiled.finditer(text, start, end):
            last = extent(text, found.start())
            if last is not None:
                yield found.start(), last

    return find


# --- secrets


def _mixed(text: str) -> bool:
    """Return whether a text looks random: digits, and either both cases or only hexadecimal digits."""
    return any("0" <= one <= "9" for one in text) and (
        (any(map(str.isupper, text)) and any(map(str.islower, text))) or bool(re.search("[0-9a-f]{24}", text))
    )


def _chosen(text: str) -> bool:
    """Return whether a text looks like a password, not like a name in a program or a word."""
    letters = any(map(str.isalpha, text))
    other = any(map(str.isdigit, text)) or any(one in "!#$%&*+?@^~" for one in text)
    return letters and other and not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", text)


_TOKENS = "|".join(
    (
        r"rw-[a-z][a-z0-9-]{0,23}-[\w-]{43}",
        r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}",
        r"gh[pousr]_[A-Za-z0-9]{36,255}",
        r"github_pat_\w{22,255}",
        r"glpat-[\w-]{20,100}",
        r"xox[abeoprs]-[A-Za-z0-9-]{10,250}",
        r"xapp-[0-9]-[A-Za-z0-9-]{10,250}",
        r"AIza[\w-]{35}",
        r"ya29\.[\w-]{20,500}",
        r"GOCSPX-[\w-]{28}",
        r"[rsp]k_(?:live|test)_[A-Za-z0-9]{10,250}",
        r"whsec_[A-Za-z0-9+/]{24,100}",
        r"hf_[A-Za-z0-9]{30,100}",
        r"gsk_[A-Za-z0-9]{40,100}",
        r"SG\.[\w-]{22}\.[\w-]{43}",
        r"npm_[A-Za-z0-9]{36}",
        r"pypi-AgE[\w-]{50,500}",
        r"dop_v1_[0-9a-f]{64}",
        r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
        r"[0-9]{8,10}:AA[\w-]{33}",
    )
)
_TOKEN_STARTS = (
    "rw- akia asia abia acca ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- xox xapp- aiza ya29. gocspx- k_live_ "
    "k_test_ whsec_ hf_ gsk_ sg. npm_ pypi- dop_v1_ age-secret-key- :aa"
).split()
"""One of them is in each of these tokens, in lower case."""
_NAMED_SECRETS = ("pass", "pwd", "key", "secret", "token", "kennwort", "mot de", "contrase")
_ASSIGNED = (
    r"(?:password|passwd|passphrase|pwd|api[_-]?key|secret|client[_-]?secret|(?:access|auth|refresh)[_-]?token"
    r"|aws_secret_access_key|secret[_-]?key|accountkey|kennwort|passwort|mot de passe|contrase\u00f1a)"
    r"[\"']?(?:\s{0,3}[:=]|\s{1,3}is)\s{0,3}[\"']?"
    r"(?P<it>[^\s\"'<>,;(){}\[\]]{6,250}+)"
)
_END = "-----END"


def _private_keys(text: str, *_: int) -> Iterator[tuple[int, int]]:
    """Find private keys in PEM, to their last line; without one, as far as the text is base64."""
    last = 0
    for found in re.finditer(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----", text):
        if 0 <= last < found.end():
            last = text.find(_END, found.end())
        if last < 0 or last > found.end() + 20_000:
            rest = re.compile(r"(?:(?:\s|\\[nr]){0,8}[A-Za-z0-9+/=]{16,}+){0,500}+").match(text, found.end())
            yield found.start(), rest.end() if rest else found.end()
        else:
            closing = re.compile(r"-----END[A-Z0-9 ]{0,80}(?:-----)?").match(text, last)
            yield found.start(), closing.end() if closing else last


# --- numbers with a checksum


def _digits(text: str) -> list[int]:
    return [int(one) for one in text if "0" <= one <= "9"]


def _luhn(digits: list[int]) -> bool:
    doubled = (one * 2 - 9 * (one > 4) for one in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


_CARDS = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}|(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)[0-9]{12,14}|3[47][0-9]{13}"
    r"|(?:30[0-5]|36|38|39)[0-9]{11,12}|(?:6011|65|64[4-9]|62|81|35(?:2[89]|[3-8]))[0-9]{12,17}"
    r"|(?:50|5[6-9]|6[0-9])[0-9]{14,17}"
)


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
        if brand and _ends_word(text, ends[length - 1]) and _luhn(_digits(part)):
            return ends[length - 1]
    return None


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


def _iban(text: str, start: int) -> int | None:
    length = _IBAN_LENGTHS.get(text[start : start + 2].upper())
    if length is None:
        return None
    collected = list(_collected(text, start, length))
    if len(collected) < length or not _ends_word(text, collected[-1][1]):
        return None
    number = "".join(one for one, _ in collected).upper()
    value = int("".join(str(int(one, 36)) for one in number[4:] + number[:4]))
    return collected[-1][1] if value % 97 == 1 else None


def _weighted(text: str, weights: str, modulus: int) -> int:
    return sum(one * int(weight) for one, weight in zip(_digits(text), weights.split(), strict=False)) % modulus


def _steuer_id(text: str) -> bool:
    digits = _digits(text)
    counts = sorted((digits[:10].count(one) for one in set(digits[:10])), reverse=True)
    product = 10
    for one in digits[:10]:
        product = ((product + one) % 10 or 10) * 2 % 11
    return counts[0] in (2, 3) and counts[1:2] == [1] and (11 - product) % 10 == digits[10]


def _pesel(text: str) -> bool:
    digits = _digits(text)
    month, day = (digits[2] * 10 + digits[3]) % 20, digits[4] * 10 + digits[5]
    return 1 <= month <= 12 and 1 <= day <= 31 and _weighted(text, "1 3 7 9 1 3 7 9 1 3 1", 10) == 0


def _cpf(text: str) -> bool:
    digits = _digits(text)
    sums = (sum(one * (size - place) for place, one in enumerate(digits[: size - 1])) for size in (10, 11))
    one, other = (total * 10 % 11 % 10 for total in sums)
    return len(set(digits)) > 1 and [one, other] == digits[9:]


def _eleven_digits(text: str) -> bool:
    return _steuer_id(text) or _cpf(text) or _pesel(text)


def _nir(text: str) -> bool:
    digits = "".join(map(str, _digits(text)))
    return len(digits) == 15 and 97 - int(digits[:13]) % 97 == int(digits[13:])


def _fiscal_code(text: str) -> bool:
    odd = "BAKPLCQDREVOSFTGUHMINJWZYX"
    value = {one: number for number, one in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")} | {
        str(number): number for number in range(10)
    }
    total = sum(odd.index("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[value[one]]) for one in text[:15:2])
    return (total + sum(value[one] for one in text[1:15:2])) % 26 == value[text[15]]


def _chinese(text: str) -> bool:
    total = sum(int(one) * (2**place % 11) for one, place in zip(text[:17], range(17, 0, -1), strict=True))
    return "10X98765432"[total % 11] == text[17].upper()


def _swiss(text: str) -> bool:
    digits = _digits(text)
    return len(digits) == 13 and _weighted(text, "1 3 1 3 1 3 1 3 1 3 1 3 1", 10) == 0


def _belgian(text: str) -> bool:
    digits = "".join(map(str, _digits(text)))
    return any(97 - int(century + digits[:9]) % 97 == int(digits[9:]) for century in ("", "2"))


def _spanish(text: str) -> bool:
    number = text.replace("-", "").upper()
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number[:-1].translate(str.maketrans("XYZ", "012"))) % 23] == number[-1]


def _finnish(text: str) -> bool:
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(text[:6] + text[7:10]) % 31] == text[10]


_FISCAL_CODE = r"(?<![\w-])[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z](?![\w-])"
_NO_WORD = r"(?<![\w.+/-])(?:{})(?![\w-]|\.[0-9])"
_DATE = r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_NATIONAL: tuple[tuple[str, Callable[[str], bool]], ...] = (
    (r"[0-9]{11}", _eleven_digits),
    (r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", _cpf),
    (r"[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}", _steuer_id),
    (r"[12][ .]?[0-9]{2}[ .]?[0-9]{2}[ .]?[0-9]{2}[ .]?[0-9]{3}[ .]?[0-9]{3}[ .]?[0-9]{2}", _nir),
    (r"[1-9][0-9]{5}(?:19|20)" + _DATE + r"[0-9]{3}[0-9Xx]", _chinese),
    (r"756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}", _swiss),
    (r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", _belgian),
    (r"(?:[0-9]{8}|[XYZ]-?[0-9]{7})-?[A-HJ-NP-TV-Z]", _spanish),
    (r"[0-3][0-9][01][0-9]{3}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]", _finnish),
    (_DATE + r"[-+][0-9]{4}", lambda text: _luhn(_digits(text))),
    # The number of US social security has no checksum, but no other common number is written like this.
    (r"(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}", lambda _: True),
)


# --- phones and addresses


def _phone(text: str) -> bool:
    return 9 <= len(_digits(text)) <= 15


_PHONES = (
    _spans(r"(?<![\w+])\+[1-9](?:[ ().\u00a0/-]{0,3}[0-9]){7,14}(?!\w)", check=_phone),
    _spans(r"(?<![\w.+/-])00[1-9][0-9]{1,3}[ /-](?:[ ()/-]{0,3}[0-9]){6,12}(?![\w-])", check=_phone),
    _spans(
        r"(?<![\w.+/-])(?:\(0[1-9][0-9]{1,4}\)|0[1-9][0-9]{1,4})[ /-]{1,3}[0-9]{3,8}(?:[ -][0-9]{2,6}){0,3}"
        r"(?![\w-]|\.[0-9])",
        check=_phone,
    ),
    _spans(r"(?<![\w.+/-])(?<![0-9]{2}[ ])0[1-9](?:([ .])[0-9]{2})(?:\1[0-9]{2}){3}(?!\w|[ .][0-9])"),
    _spans(r"(?<![\w.+/-])(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-.])[2-9][0-9]{2}[-.][0-9]{4}(?![\w-]|\.[0-9])"),
)


def _ip4(text: str, start: int) -> int | None:
    found = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.[0-9])").match(text, start)
    before = text[max(0, start - 12) : start].lower().rstrip()
    if not found or before.endswith(("version", "release", "section")):
        return None
    numbers = [int(one) for one in found[0].split(".")]
    # A loopback address, the unspecified one and a netmask are the same for everyone.
    return None if max(numbers) > 255 or numbers[0] in (0, 127, 255) else found.end()


def _ip6(text: str) -> bool:
    groups = [group for group in text.split(":") if group]
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    near = re.match("fe80:|f[cd][0-9a-f]{2}:|2[0-9a-f]{3}:", text.lower())
    return any(map(str.isdigit, text)) and (len(groups) >= 3 or bool(near))


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


_DOMAIN = re.compile(r"@[^\W_](?:[\w-]{0,62})(?:\.[\w-]{1,63}){0,8}\.[^\W\d_]{2,24}(?![^\W_])")


def _any_of(*parts: str) -> MayHave:
    return lambda lower: any(part in lower for part in parts)


def _matches(pattern: str) -> MayHave:
    return re.compile(pattern).search


def _follows(*words: str) -> MayHave:
    """Return whether a value is assigned to something whose name has one of these words."""
    assigned = re.compile(r"\w{0,12}[\"']?(?:\s{0,3}[:=]|\s{1,3}is\s)")

    def may_have(lower: str) -> bool:
        for word in words:
            start = lower.find(word)
            while start >= 0:
                if assigned.match(lower, start + len(word)):
                    return True
                start = lower.find(word, start + len(word))
        return False

    return may_have


def _near_numbers(text: str) -> list[tuple[int, int]]:
    """Return the parts of a text around its long numbers; the rest can't have what is found by its digits."""
    spans: list[tuple[int, int]] = []
    for found in _LONG_NUMBER.finditer(text):
        start, end = max(0, found.start() - _AROUND), min(len(text), found.end() + _AROUND)
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


_AROUND = 48
"""Characters; an IBAN with spaces has at most 42."""
_LONG_NUMBER = re.compile(r"[0-9](?:[ ()./\u00a0-]{0,3}[0-9]){8,40}|[0-9]{7,8}-?[A-Za-z]")
"""Nine digits, or the eight or seven of a Spanish number. A date has eight."""
_NUMBER: MayHave = _LONG_NUMBER.search
_FINDERS: tuple[tuple[str, MayHave, Find], ...] = (
    ("file", _any_of("data:"), _spans(_DATA_URL.pattern)),
    ("secret", _any_of("private key"), _private_keys),
    ("secret", _any_of("eyj"), _spans(r"(?<![\w-])eyJ[\w-]{8,8000}+\.[\w-]{8,20000}+\.[\w-]{0,2000}+")),
    ("secret", _any_of(*_TOKEN_STARTS), _spans(rf"(?<![A-Za-z0-9_-])(?:{_TOKENS})(?![A-Za-z0-9_])")),
    ("secret", _any_of("sk-"), _spans(r"(?<![\w-])sk-[\w-]{20,400}+", check=_mixed)),
    ("secret", _any_of("hooks.slack"), _spans(r"hooks\.slack\.com/services/(?P<it>[\w/]{20,100}+)")),
    ("secret", _any_of("://"), _spans(r"://[^\s/:@\"'<>]{0,100}:(?P<it>[^\s/@\"'<>]{1,250}+)@")),
    (
        "secret",
        _any_of("bearer", "basic"),
        _spans(r"\b(?:bearer|basic)\s{1,3}(?P<it>[a-z0-9._~+/=-]{16,4000}+)", check=_chosen, flags=re.IGNORECASE),
    ),
    (
        "secret",
        _any_of("="),
        _spans(
            r"[?&](?:(?:access_|auth_)?token|(?:api_?)?key|sig|signature|X-Amz-Signature|password)="
            r"(?P<it>[^&\s#\"'<>]{8,2000}+)",
            flags=re.IGNORECASE,
        ),
    ),
    ("secret", _follows(*_NAMED_SECRETS), _spans(_ASSIGNED, check=_chosen, flags=re.IGNORECASE)),
    ("email", _any_of("@"), _mails),
    ("iban", _NUMBER, _extents(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?=[ -]?[A-Za-z0-9]{4})", _iban)),
    ("card", _NUMBER, _extents(r"(?<![\w.])(?<![0-9][-])[2-68][0-9]{3}(?=[ -]?[0-9]{2})", _card)),
    *(("national-id", _NUMBER, _spans(_NO_WORD.format(pattern), check=check)) for pattern, check in _NATIONAL),
    ("national-id", _matches("[0-9]{2}[a-z][0-9]{2}[a-z][0-9]{3}[a-z]"), _spans(_FISCAL_CODE, check=_fiscal_code)),
    (
        "mac",
        _matches("[:-][0-9a-f]{2}[:-][0-9a-f]{2}[:-]"),
        _spans(r"(?<![\w:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])"),
    ),
    (
        "ip",
        _matches(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]"),
        _extents(r"(?<![\w.-])(?<![A-Za-z0-9]/)[0-9]{1,3}\.[0-9]", _ip4),
    ),
    (
        "ip",
        _matches("::|(?::[0-9a-f]{1,4}){5}"),
        _spans(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:(?:\.[0-9]{1,3}){3})?(?![\w:])", check=_ip6),
    ),
    *(("phone", _NUMBER, phone) for phone in _PHONES),
)
_QUICK = frozenset(may_have for _, may_have, _ in _FINDERS)
