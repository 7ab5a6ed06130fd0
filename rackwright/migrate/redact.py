"""A stand-in until the real module is merged: replaces e-mail addresses only."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")


class Redactor:
    """Replaces each personal datum by a placeholder like <email-1>. One Redactor per request."""

    def __init__(self, more: Mapping[str, str] = {}) -> None:
        try:
            self._kinds = {"email": _MAIL, **{kind: re.compile(pattern) for kind, pattern in more.items()}}
        except re.error as error:
            raise ValueError(str(error)) from None
        self._found: dict[str, dict[str, int]] = {}

    @property
    def counts(self) -> dict[str, int]:
        return {kind: len(found) for kind, found in self._found.items()}

    def body(self, value: object) -> object:
        if isinstance(value, str):
            for kind, pattern in self._kinds.items():
                value = pattern.sub(lambda found, kind=kind: self._placeholder(kind, found[0]), value)  # type: ignore[misc]
            return value.encode(errors="replace").decode()
        if isinstance(value, dict):
            return {str(self.body(key)): self.body(one) for key, one in value.items()}
        return [self.body(one) for one in value] if isinstance(value, list) else value

    def _placeholder(self, kind: str, text: str) -> str:
        numbers = self._found.setdefault(kind, {})
        return f"<{kind}-{numbers.setdefault(text, len(numbers) + 1)}>"
