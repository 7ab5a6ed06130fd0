"""Names and lines of text, each with its required form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

import rackwright._fast_imports  # noqa: F401


def one_line(text: str) -> str:
    for character in text:
        category = unicodedata.category(character)
        if category == "Cc":
            raise ValueError("has a control character or a newline; write one plain line")
        if category in ("Cf", "Cs", "Co", "Zl", "Zp"):
            raise ValueError(f"has the invisible character {_called(character)}; remove it")
    return text


def enumerated(names: Sequence[str]) -> str:
    """Return the names as in a sentence: `a`, `a and b`, `a, b and c`."""
    *others, last = names or ("",)
    return f"{', '.join(others)} and {last}" if others else last


def _called(character: str) -> str:
    """Return a character's name, because many characters look alike."""
    name = unicodedata.name(character, "without a name").capitalize()
    return f"'{name}' (U+{ord(character):04X})"


@dataclass(frozen=True)
class Shape:
    """The pattern that a whole text must match, and the text of an error if it doesn't."""

    pattern: str
    should: str

    def check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, one_line(text)):
            strange = next((character for character in text if ord(character) > 126), None)
            raise ValueError(f"contains the character {_called(strange)}; {self.should}" if strange else self.should)
        return text

    def __get_pydantic_core_schema__(self, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema) | {"pattern": f"^{self.pattern}$"}


def _reason(text: str) -> str:
    if len(text.encode(errors="replace")) > 100:
        raise ValueError("should be shorter: at most 100 bytes")
    if not re.fullmatch(r"[\w .,:/()+#@-]+", one_line(text)):
        raise ValueError("should be a few words, of letters, digits, spaces and . , : / ( ) + # @ - only")
    return text


def _yes_or_no(value: object) -> object:
    # In YAML 1.2, yes and no are text; in YAML 1.1, they are booleans.
    return ("yes" if value else "no") if isinstance(value, bool) else value


def plain(value: object) -> str:
    return str(value)


Name = Annotated[
    str,
    Shape("[a-z][a-z0-9-]{0,23}", "should be a letter, then letters, digits and -, all in lower case, 24 at most"),
]
"""The name of a fleet, host, group or model."""
Line = Annotated[str, AfterValidator(one_line)]
Reason = Annotated[str, AfterValidator(_reason)]
"""A reason in a few words; it may become a comment on a host."""
Manage = Annotated[Literal["yes", "no"], BeforeValidator(_yes_or_no)]
"""Whether rackwright manages something; `no` leaves its current state alone and removes nothing."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Origin = Annotated[
    str,
    Shape(
        "https?://[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[1-9][0-9]{0,4})?",
        "should be an origin like https://chat.acme.internal or http://localhost:3000, without a path",
    ),
]
ServedName = Annotated[
    str,
    Shape(
        "[A-Za-z0-9][A-Za-z0-9._:/-]{0,95}",
        "should be a letter or digit, then letters, digits and . _ : / -, 96 at most",
    ),
]
"""A name that clients may use in `model`."""
UserName = Annotated[
    str, Shape("[A-Za-z_][A-Za-z0-9_.@-]{0,63}", "should be a user name: letters, digits and _ . - @ only")
]
Url = Annotated[
    str,
    Shape(
        r"https?://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(:[0-9]{1,5})?(/[A-Za-z0-9._~%+@=/-]*)?",
        "should be a URL like https://mirror.acme.internal:8443/path, without a password, quotes or spaces",
    ),
]
HttpsUrl = Annotated[
    str,
    Shape(
        r"https://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(:[0-9]{1,5})?(/[A-Za-z0-9._~%+@=/-]*)?",
        "should be an https URL like https://mirror.acme.internal:8443/path, without a password, quotes or spaces",
    ),
]
JSON_TEXT = WithJsonSchema({"type": "string"})
