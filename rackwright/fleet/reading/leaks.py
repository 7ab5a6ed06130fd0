"""Text that looks like a secret. It must not be in a fleet file, and errors must not show it."""

from __future__ import annotations

import re

_LOOKS = {
    "a private key": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY",
    "a Hugging Face token": r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{16,}",
    "an API key of a fleet": r"(?<![A-Za-z0-9])rw-[a-z][a-z0-9-]{0,23}-[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])",
    "an API key": r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{20,}",
    "an access key": r"(?<![A-Za-z0-9])(?:AKIA[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{30,}|glpat-[A-Za-z0-9_-]{20,})",
    "an age identity": r"AGE-SECRET-KEY-1[A-Z0-9]{20,}",
    "a URL's password": r"[a-z][a-z0-9+.-]{0,40}://[^\s/@:]*:[^\s/@]+@",
}
_PATTERNS = {name: re.compile(pattern) for name, pattern in _LOOKS.items()}


def looks_like(text: str) -> str | None:
    """Return the kind of secret that a text seems to contain, or None."""
    return next((name for name, pattern in _PATTERNS.items() if pattern.search(text)), None)
