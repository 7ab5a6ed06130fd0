"""Which APIs a version of llama-server has."""

from __future__ import annotations

import re

from rackwright.client_apis import BASICS, GENERATES, ClientApi

FIRST = "b10434"
"""The oldest version whose paths were looked up."""

APIS = (
    *BASICS,
    ClientApi("/v1/responses", GENERATES, FIRST),
    ClientApi("/v1/messages", GENERATES, FIRST),
    ClientApi("/v1/messages/count_tokens", GENERATES, FIRST),
    ClientApi("/tokenize", GENERATES, FIRST),
)
"""Source: the routes in tools/server/server.cpp of b10434. It has /v1/rerank, too, if it was
started for nothing else."""


def order(version: str) -> tuple[int, ...] | None:
    """Return the number of a build like b10434; None: the version isn't one of the project's own builds."""
    build = re.fullmatch(r"b(\d+)", version)
    return (int(build[1]),) if build else None
