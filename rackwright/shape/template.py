"""The chat template in a model's files, which turns requests into the text that the model reads.

GGUF has it as `tokenizer.chat_template`, transformers as chat_template.jinja or, in older models, in
tokenizer_config.json.
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
"""Most bytes of a tokenizer_config.json, which contains all tokens."""
NONE = hashlib.sha256().hexdigest()
"""sha256 for a model without a template."""


def template_of_gguf(header: Gguf) -> str:
    """Given the header of a model's first file, return the sha256 of its template."""
    return _sha256(header.metadata.get("tokenizer.chat_template"))


def template_of_folder(files: Mapping[str, Source], folder: PurePosixPath) -> str:
    """Given files by path, return the sha256 of the template in this folder. Raise the errors of a source."""
    own, config = (str(folder / name) for name in ("chat_template.jinja", "tokenizer_config.json"))
    try:
        if own in files:
            return hashlib.sha256(whole(files[own], LIMIT)).hexdigest()
        return _sha256(parse_object(whole(files[config], LIMIT)).get("chat_template")) if config in files else NONE
    except ShapeError:
        return NONE


def _sha256(template: object) -> str:
    """Return the sha256 of a template, or of all of them together if tokenizer_config.json has several."""
    if isinstance(template, list):
        template = json.dumps(template, sort_keys=True)
    return hashlib.sha256(template.encode(errors="replace")).hexdigest() if isinstance(template, str) else NONE
