"""What an assessment found, as the control hosts keep it: no text of any request."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.migrate.features.kinds import Status
from rackwright.migrate.features.mapping import Mapped
from rackwright.migrate.features.summary import TrafficSummary
from rackwright.migrate.features.table import CONTEXT, MAX_REQUEST
from rackwright.migrate.provider_objects import ProviderObjects
from rackwright.values.base import Stored


class Used(Stored):
    """A feature that requests for one of the provider's models use."""

    name: str
    means: str
    requests: int
    status: Status
    """What the fleet's model does with it."""
    source: str
    """Where that is from: probed, or what is known of the runtime."""
    waiver: str = ""
    """Why clients can do without it; "": nobody has said so."""

    @property
    def blocks(self) -> bool:
        """Whether it must be waived, or clients must stop using it."""
        return self.status != "ok" and not self.waiver


class Moved(Stored):
    """One of the provider's models, and the fleet's model that should answer in its place."""

    model: str
    target: str
    runtime: str
    context: int
    """Tokens that the fleet's model takes, prompt and answer together."""
    features: tuple[Used, ...] = ()
    long_waiver: str = ""
    """Why requests may be longer than that; "": nobody has said so."""
    max_request: int = 0
    """Bytes of the largest body that the gateways take."""
    large_waiver: str = ""
    """Why requests may be larger than that; "": nobody has said so."""
    mapped: Mapped = Mapped()

    @property
    def too_much(self) -> tuple[tuple[str, str], ...]:
        """Return what is too much for the fleet and has no waiver: the waiver's name, and what it is about."""
        long = f"{_requests(self.mapped.too_long)} may not fit into {self.context} tokens"
        large = f"requests larger than gateway.max_request, {self.max_request} bytes: {self.mapped.too_large}"
        found = (
            (CONTEXT, long, self.mapped.too_long, self.long_waiver),
            (MAX_REQUEST, large, self.mapped.too_large, self.large_waiver),
        )
        return tuple((name, what) for name, what, count, waiver in found if count and not waiver)


class Assessed(Stored):
    format: str = "migration-assessment/1"
    probed: bool
    """Whether the fleet's models were asked; otherwise only what is known of their runtimes counts."""
    traffic: TrafficSummary
    moved: tuple[Moved, ...] = ()
    unmapped: Mapping[str, int] = {}
    """A model that the plan doesn't map → requests for it."""
    provider: ProviderObjects | None = None
    """None: the provider wasn't asked."""

    @property
    def blocking(self) -> tuple[str, ...]:
        """Return what keeps clients from moving, in words."""
        used = (
            f"{one.model} → {one.target}: {feature.name} is {feature.status}"
            for one in self.moved
            for feature in one.features
            if feature.blocks
        )
        # Not features, but waived by name like one.
        too_much = (
            f"{one.model} → {one.target}: {what} (waiver: {name})"
            for one in self.moved
            for name, what in one.too_much
        )
        return (*used, *too_much)

    @property
    def waivable(self) -> tuple[str, ...]:
        """Return the names of the waivers that would unblock the move."""
        used = (one.name for moved in self.moved for one in moved.features if one.blocks)
        too_much = (name for moved in self.moved for name, _ in moved.too_much)
        return tuple(dict.fromkeys((*used, *too_much)))


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"
