"""Secrets and references to them."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any

from pydantic import AfterValidator

import rackwright._fast_imports  # noqa: F401
from rackwright.values.text import one_line


class Secret:
    """A secret's text. It appears as *** in output, logs and diffs, and can't be pickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself. Use it only for a process's standard input or a file's content."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> Any:
        raise TypeError("a secret can't be pickled")


def _secret_reference(text: str) -> str:
    kind, _, rest = one_line(text).partition(":")
    if kind not in ("env", "file", "cmd") or not rest.strip():
        raise ValueError("should be a reference: env:NAME, file:PATH or cmd:COMMAND, never the secret itself")
    if kind == "env" and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rest):
        raise ValueError("should name an environment variable after env:")
    if kind == "cmd":
        try:
            shlex.split(rest)
        except ValueError:
            raise ValueError("has a quote that is not closed; should be a command, run without a shell") from None
    return text


SecretReference = Annotated[str, AfterValidator(_secret_reference)]
"""Where a secret comes from: `env:NAME`, `file:PATH` or `cmd:COMMAND`."""
