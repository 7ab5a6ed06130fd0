"""The chat template that a model's files bring: how requests become the text that it reads.

GGUF has it as `tokenizer.chat_template`; transformers as chat_template.jinja, before that in tokenizer_config.json.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath

from rackwright.shape.gguf import Gguf
from rackwright.shape.safetensors import parse_object
from rackwright.shape.source import ShapeError, Source, whole

LIMIT = 16 * 2**20
"""Bytes of a tokenizer_config.json, with all its tokens."""
NONE = hashlib.sha256().hexdigest()
"""sha256 of a model that brings no template."""


def template_of_gguf(header: Gguf) -> str:
    """Given the header of a model's first file, return the sha256 of its template."""
    return _sha256(header.metadata.get("tokenizer.chat_template"))


def template_of_folder(files: Mapping[str, Source], folder: PurePosixPath) -> str:
    """Given files by path, return the sha256 of the template in this folder. Raise what a source raises."""
    apart, beside = (str(folder / name) for name in ("chat_template.jinja", "tokenizer_config.json"))
    try:
        if apart in files:
            return hashlib.sha256(whole(files[apart], LIMIT)).hexdigest()
        return _sha256(parse_object(whole(files[beside], LIMIT)).get("chat_template")) if beside in files else NONE
    except ShapeError:
        return NONE


def _sha256(template: object) -> str:
    """Several with names, as tokenizer_config.json may have them, are one with all of them in it."""
    if isinstance(template, list):
        template = json.dumps(template, sort_keys=True)
    return hashlib.sha256(template.encode(errors="replace")).hexdigest() if isinstance(template, str) else NONE
