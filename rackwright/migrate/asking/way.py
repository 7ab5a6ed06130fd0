"""How both sides of a migration are asked: which cloud, which model of the fleet, and with which changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

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
    versions: Mapping[str, str] = field(default_factory=dict)
    """The fleet's model → its version by the lock; empty: not known here."""

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

    def version(self, asked: Asked, model: str) -> str:
        """Return the version of the model that answers, "" if it isn't known."""
        return self.versions.get(self.models.get(model, model), "") if asked == "fleet" else ""

    def other_versions(self, before: Mapping[str, str]) -> tuple[str, ...]:
        """Return the fleet's models that had another version before. One that isn't known is no other."""
        return tuple(sorted(one for one, now in self.versions.items() if before.get(one, now) != now))

    @property
    def ends(self) -> tuple[str, ...]:
        """Return what `by` says of each model, in a fixed order."""
        return (self.cloud, *(self.by("fleet", model) for model in sorted(self.models)))

    def holds(self, answer: ReplayedAnswer) -> bool:
        """Return whether the same end would be asked in the same way now."""
        if not answer.by:
            return True
        if answer.asked != "fleet":
            return answer.by == self.cloud
        version = self._versions.get(answer.by)
        return version is not None and (not version or not answer.version or answer.version == version)

    @cached_property
    def _versions(self) -> Mapping[str, str]:
        """What `by` says of each of the fleet's models → its version."""
        return {self.by("fleet", model): self.version("fleet", model) for model in self.models}


def way_of(plan: Plan, assessed: Assessed | None, versions: Mapping[str, str] | None = None) -> Way:
    """Return the way for this plan, with the changes that an assessment has found and the models' versions."""
    moved = assessed.moved if assessed else ()
    rewrites = {one.model: one.mapped.replayed for one in moved if one.mapped.replayed}
    written = {model: found for model, found in rewrites.items() if model in plan.models}
    known = {target: (versions or {})[target] for target in plan.models.values() if target in (versions or {})}
    return Way(plan.cloud, plan.models, written, known)
