"""What a feature is, and how its status on a target becomes known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

Status = Literal["ok", "rejected", "ignored", "unknown"]
"""What a target does with a feature: unknown if nobody can say it from the target's answer."""
Judge = Callable[[int, JsonValue], Status]
"""Takes the HTTP status and the answer's JSON; for a probe that streams, the list of its chunks."""


@dataclass(frozen=True)
class Probe:
    """A small request that uses one feature, and how to tell from its answer what the target did."""

    path: str
    """Like /v1/chat/completions."""
    body: Mapping[str, JsonValue]
    """Without `model`."""
    judge: Judge


@dataclass(frozen=True)
class Known:
    """What a runtime does with a feature that no single answer shows."""

    status: Status
    source: str
    """Where that is from, like "vLLM 0.32"."""
    version: str = ""
    """Of the runtime that this is known of; "": it is so with any."""

    def source_for(self, version: str) -> str:
        """Return the source, and the target's version of the runtime if it is another one."""
        if not self.version or f"{version}.".startswith(f"{self.version}."):
            return self.source
        return f"known of {self.source}; yours is {version}"


@dataclass(frozen=True)
class Feature:
    """Something that a request uses. Its name is what `waivers` in the migration plan says."""

    name: str
    means: str
    """One sentence."""
    probe: Probe | None = None
    known: Mapping[str, Known] = field(default_factory=dict)
    """Runtime → what it does, where the probe's answer is unknown or there is no probe."""
    instead: str = ""
    """What a client can do on a target that doesn't have it; "": there is nothing."""

    def status(self, runtime: str, version: str, probed: Status | None) -> tuple[Status, str]:
        """Return the status on a target and where it is from; `probed` is the probe's, None if it wasn't sent."""
        if probed is not None and probed != "unknown":
            return probed, "probed"
        found = self.known.get(runtime)
        return (found.status, found.source_for(version)) if found else ("unknown", "not known")
