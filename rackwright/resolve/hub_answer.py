"""What a model hub answers about one revision of a repository, checked: a hub or a mirror may be hostile.

The format is that of GET /api/models/OWNER/REPO/revision/REVISION?blobs=true on huggingface.co.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from rackwright.values.base import Stored
from rackwright.values.file import Bytes
from rackwright.values.text import Sha256

Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


class Lfs(Stored):
    """Where a large file is stored."""

    size: Bytes
    sha256: Sha256


class Listed(Stored):
    """One file."""

    path: str = Field(alias="rfilename")
    size: Bytes | None = None
    lfs: Lfs | None = None
    """None for a small file."""


class Card(Stored):
    """The head of a model card. Its owner can write anything into it."""

    license: object = None
    license_name: object = None


class Repository(Stored):
    commit: Commit = Field(alias="sha")
    files: tuple[Listed, ...] = Field(default=(), alias="siblings")
    card: Card | None = Field(default=None, alias="cardData")
