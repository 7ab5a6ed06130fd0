"""Files in the lock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from rackwright.values.base import Frozen
from rackwright.values.paths import StoredPath
from rackwright.values.text import Line, Sha256

LOCAL = "file:"
Bytes = Annotated[int, Field(ge=0, le=2**60)]


class File(Frozen):
    """One file in the lock. Its content is fixed by size (bytes) and sha256."""

    path: StoredPath
    size: Bytes
    sha256: Sha256
    url: Line
    """https://… or file:PATH on the controller; in the lock, a relative PATH starts at the fleet file's folder."""

    @property
    def local(self) -> Path | None:
        """Its path on the controller, or None if it is downloaded."""
        return Path(self.url.removeprefix(LOCAL)) if self.url.startswith(LOCAL) else None
