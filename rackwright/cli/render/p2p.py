"""Transfers from host to host, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rackwright.cli.common.context import Json

if TYPE_CHECKING:
    from rackwright.lifecycle.p2p.procedure import Transferred


def transferred_documents(transferred: Iterable[Transferred]) -> list[Json]:
    """Return one document for each model that was transferred."""
    return [
        {
            "model": one.model,
            "digest": one.digest,
            "bytes": one.bytes,
            "from": one.first,
            "seconds": {host: round(seconds, 1) for host, seconds in one.seconds.items()},
            "failed": dict(one.failed),
        }
        for one in transferred
    ]
