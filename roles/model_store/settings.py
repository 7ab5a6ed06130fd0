"""The weights that one host stores."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Self

from pydantic import field_validator

from rackwright.values.base import Frozen
from rackwright.values.file import File
from rackwright.values.paths import HostPath
from rackwright.values.text import Line, Name, Sha256

WEIGHTS = frozenset((".safetensors", ".gguf"))
TEXTS = frozenset((".json", ".jsonl", ".txt", ".md", ".jinja", ".model", ".tiktoken", ".vocab", ".yaml", ".yml"))
NAMES = frozenset(("LICENSE", "NOTICE", "README", ".gitattributes"))
TEXT_LIMIT = 100_000_000
"""Bytes; tokenizers with large vocabularies take tens of megabytes."""


PLAIN = "should have names of letters, digits and . _ + @ - / only, which don't begin with a dash"


def is_plain(path: str) -> bool:
    """Return whether programs and shells take each name in a relative path for a name, and for nothing else."""
    parts = path.split("/")
    return all(re.fullmatch(r"[A-Za-z0-9._+@][A-Za-z0-9._+@-]*", part) and part not in (".", "..") for part in parts)


def refusal(path: str, size: int) -> str | None:
    """Return why a model's file is refused, or None: only safetensors, GGUF and small texts run no code on load."""
    name = PurePosixPath(path)
    if name.suffix.lower() in WEIGHTS:
        return None
    if name.suffix.lower() not in TEXTS and name.name not in NAMES:
        return f"{path}: should be safetensors, GGUF or a text file; other formats can run code when they are loaded"
    if size > TEXT_LIMIT:
        return f"{path}: has {size / 1e6:.0f} MB, too large for a text; should be at most {TEXT_LIMIT / 1e6:.0f} MB"
    return None


class StoredModel(Frozen):
    """One model's files, under ROOT/NAME/<first 16 digits of digest>/."""

    name: Name
    digest: Sha256
    files: tuple[File, ...]
    writer: Name | None = None
    """If several hosts share the folder of models, the host that writes this one; None: this host does."""

    @field_validator("files")
    @classmethod
    def _harmless(cls, files: tuple[File, ...]) -> tuple[File, ...]:
        if refused := [why for file in files if (why := refusal(file.path, file.size))]:
            raise ValueError("; ".join(refused))
        return files

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def folder_of(root: str, name: str, digest: str) -> str:
    """Return where a host has this model's files."""
    return f"{root}/{name}/{digest[:16]}"


class Settings(Frozen):
    root: HostPath = "/srv/models"
    shared: bool = False
    """Whether the folder is a mount that other hosts see, too."""
    models: tuple[StoredModel, ...]
    hub: Line = "https://huggingface.co"
    """Only requests to URLs below it get the hub's token."""

    @property
    def own(self) -> Self:
        """These settings with only the models that this host writes."""
        return self.model_copy(update={"models": tuple(model for model in self.models if model.writer is None)})

    def folder(self, model: StoredModel) -> str:
        return folder_of(self.root, model.name, model.digest)

    def is_hub(self, url: str) -> bool:
        return url.startswith(self.hub.rstrip("/") + "/")
