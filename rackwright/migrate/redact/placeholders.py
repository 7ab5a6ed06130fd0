"""What takes the place of personal data, numbered by kind."""

from __future__ import annotations

import re

PLACEHOLDER = re.compile(r"(<[a-z][a-z0-9-]{0,23}-[0-9]{1,9}>)")


class Placeholders:
    """The placeholders of one request. The same text of a kind has the same number."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, int]] = {}

    @property
    def counts(self) -> dict[str, int]:
        """Kind → how many different texts were replaced."""
        return {kind: len(numbers) for kind, numbers in self._numbers.items()}

    def of(self, kind: str, text: str) -> str:
        """Return what takes the place of a text."""
        numbers = self._numbers.setdefault(kind, {})
        return f"<{kind}-{numbers.setdefault(text, len(numbers) + 1)}>"


def replaceable(value: object) -> bool:
    """Return whether a value is a text, and neither empty nor a placeholder."""
    return isinstance(value, str) and bool(value) and not PLACEHOLDER.fullmatch(value)
