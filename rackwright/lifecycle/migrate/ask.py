"""What a procedure needs to ask an end: the cloud or the fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import ReplayedAnswer
from rackwright.migrate.side import Side


class Ask(Protocol):
    """Asks one side, and returns an answer to each request by the request's id, whatever happens."""

    def __call__(self, side: Side, requests: Sequence[RecordedRequest]) -> Mapping[str, ReplayedAnswer]: ...
