"""Files that the lock names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from rackwright.values.base import Frozen
from rackwright.values.paths import RelativePath
from rackwright.values.text import Line, Sha256


class File(Frozen):
    """One file that the lock names: its bytes are settled by size (bytes) and sha256."""

    path: RelativePath
    size: int
    sha256: Sha256
    url: Line
    """https://… or file:///absolute/path on the controller."""

    @property
    def local(self) -> Path | None:
        """Where it lies on the controller; None: it is fetched from elsewhere."""
        return Path(unquote(urlsplit(self.url).path)) if self.url.startswith("file:") else None
