"""`rollout`: how engines are restarted under traffic."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rackwright.roles.gateway.settings import Downtime
from rackwright.values.amounts import Seconds
from rackwright.values.base import Frozen


class Rollout(Frozen):
    max_unavailable: Annotated[int, Field(ge=1, le=64)] = 1
    """Of one model's replicas; what is down already counts."""
    drain_timeout: Annotated[Seconds, Field(le=86400)] = 600
    """Longest wait for requests in flight; then the rollout pauses, it never kills."""
    soak: Annotated[Seconds, Field(le=86400)] = 120
    """How long a replica is watched under traffic before the next one is taken."""
    start_timeout: Annotated[Seconds, Field(ge=1, le=86400)] = 600
    """Longest wait for an engine that was started to answer; then what ran before is put back."""
    downtime: Downtime = "queue"
    """What gateways do with requests for a model of which no replica can take any meanwhile."""
