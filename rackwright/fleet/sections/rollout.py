"""`rollout`: how engines are restarted under traffic."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rackwright.roles.gateway.settings import Downtime
from rackwright.values.amounts import Seconds
from rackwright.values.base import Frozen


class Rollout(Frozen):
    max_unavailable: Annotated[int, Field(ge=1, le=64)] = 1
    """The most replicas of one model that may be unavailable; replicas that are already down count. After the first
    one of a model, a rollout changes as many at the same time."""
    drain_timeout: Annotated[Seconds, Field(le=86400)] = 600
    """The longest wait for requests in flight; then the rollout pauses. It never kills requests."""
    soak: Annotated[Seconds, Field(le=86400)] = 120
    """How long a changed replica is watched under traffic. The first one of a model is watched before the next one is
    changed; so is each, if `max_unavailable` is 1."""
    start_timeout: Annotated[Seconds, Field(ge=1, le=86400)] = 600
    """The longest wait for a started engine to answer; then the replica is reverted to what it ran before."""
    downtime: Downtime = "queue"
    """What gateways do with requests for a model while none of its replicas can serve them."""

    @property
    def pace(self) -> str:
        """How many replicas a rollout changes at the same time, in words."""
        return "one at a time" if self.max_unavailable == 1 else f"up to {self.max_unavailable} at a time"
