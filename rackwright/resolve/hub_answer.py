"""What a model hub answers about one revision of a repository, checked: a hub or a mirror may be hostile.

Each class takes the attributes that it needs from huggingface-hub's ModelInfo, which has whatever the hub sent.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

import rackwright._fast_imports  # noqa: F401
from rackwright.values.file import Bytes
from rackwright.values.text import Sha256

Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


class Answered(BaseModel):
    """Base for parts of an answer: types must match exactly, and attributes that aren't needed are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, from_attributes=True, defer_build=True)


class Lfs(Answered):
    """Where a large file is stored."""

    size: Bytes
    sha256: Sha256


class Listed(Answered):
    """One file."""

    path: str = Field(alias="rfilename")
    size: Bytes | None = None
    lfs: Lfs | None = None
    """None for a small file."""


class Card(Answered):
    """The head of a model card. Its owner can write anything into it."""

    license: object = None
    license_name: object = None


class Repository(Answered):
    commit: Commit = Field(alias="sha")
    # Not strict, because it is a list in ModelInfo; the files in it are strict.
    files: tuple[Listed, ...] = Field(alias="siblings", strict=False)
    card: Card | None = Field(default=None, alias="card_data")
