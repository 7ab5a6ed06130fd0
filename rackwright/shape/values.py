"""What config.json or GGUF metadata says, with the types that are asked for; both are written by strangers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.shape.source import ShapeError

LARGEST = 2**40
LAYERS = 4096


@dataclass(frozen=True)
class Values:
    """Named values; every question is for one type, and a value of another is a ShapeError."""

    reply: Mapping[str, object]
    prefix: str = ""
    """What every name begins with."""

    def number(self, *names: str, otherwise: int | None = None) -> int:
        """Return the first of these that is told. Raise ShapeError if none is, without `otherwise`, or it is none."""
        found = self.maybe(*names)
        if found is not None:
            return found
        if otherwise is None:
            raise ShapeError(f"doesn't say {self.prefix}{names[0]}")
        return otherwise

    def maybe(self, *names: str) -> int | None:
        """Return the first of these that is told; None: none is."""
        for name in names:
            value = self.reply.get(f"{self.prefix}{name}")
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
                raise ShapeError(f"has {self.prefix}{name} that is no such number: {ascii(value)[:60]}")
            return value
        return None

    def depth(self, *names: str) -> int:
        """Return how many layers there are. Raise ShapeError if that is none, or more than any model has."""
        found = self.number(*names)
        if not 0 < found <= LAYERS:
            raise ShapeError(f"has {found} layers; should be 1 to {LAYERS}")
        return found

    def flag(self, name: str, *, otherwise: bool = False) -> bool:
        value = self.reply.get(f"{self.prefix}{name}")
        return value if isinstance(value, bool) else otherwise

    def text(self, name: str) -> str:
        value = self.reply.get(f"{self.prefix}{name}")
        return value[:200] if isinstance(value, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; empty where it isn't told, or is no such list."""
        value = self.reply.get(f"{self.prefix}{name}")
        items = value if isinstance(value, list | tuple) and len(value) <= LAYERS else ()
        return tuple(item for item in items if isinstance(item, str))

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return a list of numbers; empty where it isn't told, or is no such list."""
        value = self.reply.get(f"{self.prefix}{name}")
        items = value if isinstance(value, list | tuple) and len(value) <= LAYERS else ()
        return tuple(int(item) for item in items if isinstance(item, int) and 0 <= item <= LARGEST)

    def within(self, name: str) -> Values | None:
        """Return an object in it; None: there is none."""
        value = self.reply.get(name)
        return Values(value) if isinstance(value, dict) else None
