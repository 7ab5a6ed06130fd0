"""Typed access to the values of config.json or GGUF metadata, which are untrusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.shape.source import ShapeError

LARGEST = 2**40
LAYERS = 4096


@dataclass(frozen=True)
class Values:
    """Named values. Each method returns one type; a number that isn't valid raises ShapeError."""

    content: Mapping[str, object]
    prefix: str = ""
    """The prefix of every name."""

    def number(self, *names: str, default: int | None = None) -> int:
        """Return the first of these that is set, else the default. Raise ShapeError if it is missing or invalid."""
        found = self.maybe(*names)
        if found is not None:
            return found
        if default is None:
            raise ShapeError(f"has no {self.prefix}{names[0]}")
        return default

    def maybe(self, *names: str) -> int | None:
        """Return the first of these that is set; None if none is."""
        for name in names:
            value = self.content.get(f"{self.prefix}{name}")
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
                raise ShapeError(f"has an invalid number for {self.prefix}{name}: {ascii(value)[:60]}")
            return value
        return None

    def depth(self, *names: str) -> int:
        """Return the number of layers. Raise ShapeError if it isn't valid, or more than any model has."""
        found = self.number(*names)
        if not 0 < found <= LAYERS:
            raise ShapeError(f"has {found} layers; should be 1 to {LAYERS}")
        return found

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.content.get(f"{self.prefix}{name}")
        return value if isinstance(value, bool) else default

    def text(self, name: str) -> str:
        value = self.content.get(f"{self.prefix}{name}")
        return value[:200] if isinstance(value, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; empty if it isn't set, or isn't a list."""
        value = self.content.get(f"{self.prefix}{name}")
        items = value if isinstance(value, list | tuple) and len(value) <= LAYERS else ()
        return tuple(item for item in items if isinstance(item, str))

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return a list of numbers; empty if it isn't set, or isn't a list."""
        value = self.content.get(f"{self.prefix}{name}")
        items = value if isinstance(value, list | tuple) and len(value) <= LAYERS else ()
        return tuple(int(item) for item in items if isinstance(item, int) and 0 <= item <= LARGEST)

    def within(self, name: str) -> Values | None:
        """Return a nested object; None if there is none."""
        value = self.content.get(name)
        return Values(value) if isinstance(value, dict) else None
