"""What to record, and until when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Orders:
    """The content of capture.json."""

    migration: str
    recipient: str
    until: int
    size: int
    request: int
    reserve: int
    redact: dict[str, str]

    @staticmethod
    def read(path: Path) -> Orders:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Orders(**{name: said[name] for name in Orders.__dataclass_fields__})
