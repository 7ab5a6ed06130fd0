"""Which APIs a version of vLLM has."""

from __future__ import annotations

import re

from rackwright.client_apis import BASICS, EMBEDS, GENERATES, ClientApi

FIRST = "0.32.0"
"""The oldest version whose paths were looked up."""

APIS = (
    *BASICS,
    ClientApi("/v1/responses", GENERATES, FIRST),
    ClientApi("/v1/messages", GENERATES, FIRST),
    ClientApi("/v1/messages/count_tokens", GENERATES, FIRST),
    ClientApi("/v1/score", EMBEDS, FIRST),
    ClientApi("/v1/rerank", EMBEDS, FIRST),
    ClientApi("/tokenize", GENERATES | EMBEDS, FIRST),
)
"""Source: vllm/entrypoints of 0.32.0. A model of embeddings scores by their cosine. It has /v1/audio, too, for models
of speech, which rackwright doesn't run."""


def order(version: str) -> tuple[int, ...] | None:
    """Return the numbers of a release like 0.32.0; None: the version isn't one."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, numbers.groups())) if numbers else None
