"""LoRA adapters: the files of an adapter in a repository or folder, and the rank in its configuration.

PEFT saves an adapter (huggingface.co/docs/peft, "Checkpoint format") as two files with fixed names; vLLM reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from pydantic import PositiveInt, ValidationError

from rackwright.resolve.model_files import UnfitFiles
from rackwright.roles.vllm.settings import AdapterRank
from rackwright.values.base import Stored

CONFIG = "adapter_config.json"
CONFIG_LIMIT = 2**20
"""Bytes."""
_WEIGHTS = "adapter_model.safetensors"
_PICKLES = ("adapter_model.bin", "adapter_model.pt")
_SHOULD = f"should have {CONFIG} and {_WEIGHTS} at the top level, as saved by PEFT"


class _Config(Stored):
    r: PositiveInt
    rank_pattern: dict[str, PositiveInt] | None = None
    """Layers with another rank."""


def choose_adapter(sizes: Mapping[str, int]) -> tuple[str, ...]:
    """Given path → bytes of all files, return the files of the adapter. Raise UnfitFiles if they are missing."""
    missing = [name for name in (CONFIG, _WEIGHTS) if name not in sizes]
    if not missing:
        return CONFIG, _WEIGHTS
    if _WEIGHTS in missing and any(name in sizes for name in _PICKLES):
        raise UnfitFiles("has only pickled weights, which can run code when loaded", _SHOULD)
    raise UnfitFiles(f"has no {' and no '.join(missing)}", _SHOULD)


def rank_of(config: bytes) -> int:
    """Given an adapter's configuration, return the greatest rank of its layers. Raise UnfitFiles if it has none."""
    try:
        asked = _Config.model_validate_json(config)
    except ValidationError:
        what = f"is not a LoRA adapter: its {CONFIG} has no rank"
        raise UnfitFiles(what, "should have `r`, a whole number of at least 1") from None
    return max((asked.r, *(asked.rank_pattern or {}).values()))


def fitting_rank(rank: int) -> int | None:
    """Return the smallest `max_lora_rank` for an adapter of this rank, or None if vLLM has none."""
    known: tuple[int, ...] = get_args(AdapterRank)
    return next((known_rank for known_rank in known if known_rank >= rank), None)
