"""The walk through a request's body."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from rackwright.migrate.redact.custom import usable
from rackwright.migrate.redact.opaque import content_of, type_beside
from rackwright.migrate.redact.placeholders import Placeholders, replaceable
from rackwright.migrate.redact.search import redacted

MOST_DEPTH = 60
"""Levels of lists and objects; what is deeper is replaced as a whole."""
_SECRET_KEYS = frozenset(
    "password passwd passphrase secret api_key apikey api-key x-api-key access_token refresh_token auth_token "
    "bearer_token client_secret private_key secret_key authorization proxy-authorization cookie set-cookie".split()
)
_USER_KEYS = ("user", "safety_identifier")
_LONGER = 1000
"""Smaller numbers are no secrets: {"secret": 1} is a flag."""


class Redactor:
    """Replaces each personal datum by a placeholder like <email-1>. One Redactor per request.

    `more` has the operator's own kinds of text: kind → regular expression. Raise ValueError, with the kind, if one
    can't be used.
    """

    def __init__(self, more: Mapping[str, str] = {}) -> None:
        self._custom = tuple((kind, usable(kind, pattern)) for kind, pattern in more.items())
        self._placeholders = Placeholders()

    @property
    def counts(self) -> dict[str, int]:
        """Kind → how many different texts were replaced."""
        return self._placeholders.counts

    def body(self, value: object) -> object:
        """Return a JSON value without personal data: in texts, keys, numbers and JSON inside texts.

        The same text has the same placeholder everywhere in this request. Images, audio and files become an object
        with the placeholder, type, size and sha256. The result can be written as JSON in UTF-8.
        """
        if isinstance(value, dict):
            value = {key: self._hidden(one, "user") if key in _USER_KEYS else one for key, one in value.items()}
        return self._value(value, 0)

    def text(self, text: str) -> str:
        """Return a text without personal data."""
        return self._text(text, 0)

    def _value(self, value: object, depth: int) -> object:
        if isinstance(value, str):
            return self._opaque(value, "") or self._text(value, depth)
        if isinstance(value, dict | list) and depth >= MOST_DEPTH:
            return self._placeholders.of("nested", str(self.counts.get("nested", 0)))
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
        if key.lower() in _SECRET_KEYS:
            return self._value(self._hidden(value, "secret"), depth + 1)
        if key == "data" and isinstance(value, str) and value:
            return self._opaque(value, type_beside(among)) or self._value(value, depth + 1)
        seed = key == "seed" and isinstance(value, int) and abs(value) < 2**64
        return value if seed else self._value(value, depth + 1)

    def _hidden(self, value: object, kind: str) -> object:
        """Return the value with its texts and numbers replaced, whatever they look like."""
        if isinstance(value, list):
            return [one if isinstance(one, list) else self._hidden(one, kind) for one in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= _LONGER:
            return self._placeholders.of(kind, _written(value))
        return self._placeholders.of(kind, value) if isinstance(value, str) and replaceable(value) else value

    def _number(self, value: int | float) -> object:
        written = _written(value)
        if not written:
            return self._placeholders.of("nested", "number")
        clean = self._plain(written)
        return value if clean == written else clean

    def _text(self, text: str, depth: int) -> str:
        inner = _json_in(text) if depth < MOST_DEPTH else None
        if inner is not None:
            clean = self._value(inner, depth + 1)
            if clean != inner:
                return json.dumps(clean, ensure_ascii=False)
        # A parsed object has lost a repeated key, so the text is searched as well.
        return self._plain(text)

    def _plain(self, text: str) -> str:
        return redacted(text, self._custom, self._placeholders)

    def _opaque(self, text: str, type: str) -> object:
        """Return the placeholder of an image or other data in base64; None if the text isn't that."""
        content = content_of(text, type)
        if content is None:
            return None
        # The type is any text that a client wrote there.
        return content.described(self._placeholders.of(content.kind, content.sha256), self._plain(content.type))


def _json_in(text: str) -> object:
    """Return the list or object that a text is; None if it isn't one."""
    if text[:64].lstrip()[:1] not in ("{", "["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def _written(value: int | float) -> str:
    """Return the number in digits; "" if it has more than Python writes out."""
    try:
        return str(value)
    except ValueError:
        return ""
