"""Files in the lock."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from rackwright.values.base import Frozen
from rackwright.values.paths import RelativePath
from rackwright.values.text import Line, Sha256


class File(Frozen):
    """One file in the lock. Its content is fixed by size (bytes) and sha256."""

    path: RelativePath
    size: int
    sha256: Sha256
    url: Line
    """https://… or file:///absolute/path on the controller."""

    @property
    def local(self) -> Path | None:
        """Its path on the controller, or None if it is downloaded."""
        return Path(unquote(urlsplit(self.url).path)) if self.url.startswith("file:") else None
