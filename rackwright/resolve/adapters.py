"""LoRA adapters: which files of a repository or folder make up one, and the rank that it says it has.

As PEFT saves them (huggingface.co/docs/peft, "Checkpoint format") and vLLM reads them: two files of fixed names.
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
_SHOULD = f"should have {CONFIG} and {_WEIGHTS} at its top, as PEFT saves them"


class _Config(Stored):
    r: PositiveInt
    rank_pattern: dict[str, PositiveInt] | None = None
    """Of layers that have another."""


def choose_adapter(sizes: Mapping[str, int]) -> tuple[str, ...]:
    """Given path → bytes of everything there is, return the files of the adapter. Raise UnfitFiles without them."""
    missing = [name for name in (CONFIG, _WEIGHTS) if name not in sizes]
    if not missing:
        return CONFIG, _WEIGHTS
    if _WEIGHTS in missing and any(name in sizes for name in _PICKLES):
        raise UnfitFiles("has only pickled weights, which can run code when loaded", _SHOULD)
    raise UnfitFiles(f"has no {' and no '.join(missing)}", _SHOULD)


def rank_of(config: bytes) -> int:
    """Given an adapter's configuration, return the greatest rank of its layers. Raise UnfitFiles if it says none."""
    try:
        asked = _Config.model_validate_json(config)
    except ValidationError:
        what = f"is no LoRA adapter: its {CONFIG} says no rank"
        raise UnfitFiles(what, "should have `r` in it, a whole number from 1 on") from None
    return max((asked.r, *(asked.rank_pattern or {}).values()))


def fitting_rank(rank: int) -> int | None:
    """Return the smallest `max_lora_rank` that an adapter of this rank can be served with; None: there is none."""
    known: tuple[int, ...] = get_args(AdapterRank)
    return next((known_rank for known_rank in known if known_rank >= rank), None)
