"""The versions of the runtimes that the tables of features are about."""

from __future__ import annotations

from rackwright.migrate.features.kinds import Known, Status

VLLM = "0.32"
LLAMA = "b10434"
"""Release of llama.cpp."""


def of_vllm(status: Status) -> Known:
    """Return what vLLM does."""
    return Known(status, f"vLLM {VLLM}", VLLM)


def of_llama(status: Status) -> Known:
    """Return what llama-server does."""
    return Known(status, f"llama-server {LLAMA}", LLAMA)
