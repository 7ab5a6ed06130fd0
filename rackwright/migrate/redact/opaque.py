"""Images, audio and files in base64: recognized, decoded, and their kinds."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

OPAQUE = 2048
"""A text of at least so many characters of base64 is data, not language."""
DATA_URL = re.compile(r"data:([\w.+/-]{0,100}+)((?:;[\w.+=-]{1,100}){0,5}),([A-Za-z0-9+/_=%-]{64,}+)")
_ANY = "application/octet-stream"
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


@dataclass(frozen=True)
class Content:
    """What base64 stands for."""

    type: str
    """Media type; empty if nothing says it."""
    size: int
    sha256: str

    @property
    def kind(self) -> str:
        return _media(self.type)

    def described(self, placeholder: str, type: str) -> dict[str, object]:
        """Return the object that takes its place in a body. `type` is without personal data."""
        type = type[:100] or _ANY
        return {"placeholder": placeholder, "type": type, "bytes": self.size, "sha256": self.sha256}


def type_beside(members: Mapping[object, object]) -> str:
    """Return the media type that an object's other members give to its `data`; empty if nothing says it."""
    type, format = members.get("media_type"), members.get("format")
    if type:
        return type if isinstance(type, str) else _ANY
    if "format" in members:
        return f"audio/{format}" if isinstance(format, str) else "audio/*"
    return ""


def content_of(text: str, type: str) -> Content | None:
    """Return what a text in base64 stands for; None if the text isn't that. `type` may be empty."""
    found = DATA_URL.fullmatch(text)
    if found:
        type, text = found[1] or "text/plain", found[3]
    elif not (_looks_opaque(text) if not type else len(text) >= 64 and _BASE64.fullmatch(text)):
        return None
    content = _decoded(text)
    return Content(type, len(content), hashlib.sha256(content).hexdigest())


def kind_of(kind: str, text: str, start: int) -> str:
    """Return the kind of data in a data: URL inside other text; otherwise the kind itself."""
    if kind != "file":
        return kind
    found = DATA_URL.match(text, start)
    return _media(found[1]) if found else kind


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
