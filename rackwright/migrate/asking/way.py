"""How both sides of a migration are asked: which cloud, which model of the fleet, and with which changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from rackwright.migrate.assessment import Assessed
from rackwright.migrate.features.rewrites import rewritten
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import Asked, ReplayedAnswer


@dataclass(frozen=True)
class Way:
    cloud: str
    models: Mapping[str, str]
    """The provider's model → the fleet's."""
    rewrites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The provider's model → features that requests to the fleet are written without."""

    def body(self, request: RecordedRequest) -> Mapping[str, JsonValue]:
        """Return the body for the fleet, as clients should write it after they have moved."""
        features = self.rewrites.get(request.model, ())
        return rewritten(request.body, features) if features else request.body

    def written(self, request: RecordedRequest) -> RecordedRequest:
        """Return the request with that body."""
        return request.model_copy(update={"body": self.body(request)})

    def by(self, asked: Asked, model: str) -> str:
        """Return in one word or line who is asked, and how."""
        if asked != "fleet":
            return self.cloud
        changes = ", ".join(self.rewrites.get(model, ()))
        return f"{model} → {self.models.get(model, model)}{f', without {changes}' if changes else ''}"

    @property
    def ends(self) -> tuple[str, ...]:
        """Return what `by` says of each model, in a fixed order."""
        return (self.cloud, *(self.by("fleet", model) for model in sorted(self.models)))

    def holds(self, answer: ReplayedAnswer) -> bool:
        """Return whether the same end would be asked in the same way now."""
        if not answer.by:
            return True
        return answer.by in (self.ends[1:] if answer.asked == "fleet" else self.ends[:1])


def way_of(plan: Plan, assessed: Assessed | None) -> Way:
    """Return the way for this plan, with the changes that an assessment has found."""
    moved = assessed.moved if assessed else ()
    rewrites = {one.model: one.mapped.replayed for one in moved if one.mapped.replayed}
    return Way(plan.cloud, plan.models, {model: found for model, found in rewrites.items() if model in plan.models})
