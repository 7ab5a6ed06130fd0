"""The map from a provider's model to the fleet's: what clients have to change, and what they lose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rackwright.migrate.features.kinds import Status
from rackwright.migrate.features.rewrites import REWRITES, is_field
from rackwright.migrate.features.summary import ModelTraffic
from rackwright.migrate.features.table import feature
from rackwright.migrate.features.unsent import UNSENT
from rackwright.values.base import Stored

MECHANICAL = frozenset(
    (
        "max_completion_tokens",
        "functions",
        "role.developer",
        "tool_choice.none",
        "tool_choice.allowed_tools",
        "tool_choice.function",
        "n",
        "prompt.batch",
        "input.batch",
        "encoding_format.base64",
        "echo",
        "instructions",
        "endpoint.responses",
    )
)
"""Features that the same request can be written without."""
PROMPTS = frozenset(("role.developer", "images", "audio", "files", "prompt.stored", "prompt.tokens", "input.tokens"))
"""Features that are part of the prompt."""
Kind = Literal["rewritten", "refused", "ignored", "unknown"]
Replay = Literal["rewritten", "left out", "unchanged"]


class Change(Stored):
    """One difference that clients see."""

    feature: str
    status: Status
    kind: Kind
    """rewritten: the client writes it differently; refused, ignored: it has no equal; unknown: try it."""
    requests: int
    means: str
    instead: str = ""
    waiver: str = ""
    """Why clients can do without it; "": nobody has said so."""
    replay: Replay = "unchanged"
    """How replay, score and capacity ask the fleet. UNSENT is left out of what the cloud is asked, too."""


class Mapped(Stored):
    """What moves how, for one of the provider's models."""

    changes: tuple[Change, ...] = ()
    """Of parameters and endpoints."""
    prompts: tuple[Change, ...] = ()
    """Of prompts."""
    too_long: int = 0
    """Requests whose prompt and longest answer don't fit into the target's context."""
    too_large: int = 0
    """Requests with a larger body than the gateways take."""

    @property
    def replayed(self) -> tuple[str, ...]:
        """Return the features that only requests to the fleet are written without, by name."""
        every = (*self.changes, *self.prompts)
        return tuple(sorted(one.feature for one in every if one.replay != "unchanged" and one.feature not in UNSENT))


def mapping(
    traffic: ModelTraffic,
    statuses: Mapping[str, Status],
    *,
    context: int | None = None,
    waivers: Mapping[str, str] = {},
) -> Mapped:
    """Return the map for one model. `statuses` has the target's status of each feature in `traffic.features`.

    `context` is the target's, in tokens; a request counts as too long if it may not fit.
    """
    found = [
        _change(name, statuses.get(name, "unknown"), requests, waivers.get(name, ""))
        for name, requests in traffic.features.items()
        if statuses.get(name, "unknown") != "ok"
    ]
    return Mapped(
        changes=tuple(one for one in found if one.feature not in PROMPTS),
        prompts=tuple(one for one in found if one.feature in PROMPTS),
        too_long=sum(count for size, count in traffic.contexts.items() if context and size > context),
        too_large=traffic.too_large,
    )


def _change(name: str, status: Status, requests: int, waiver: str) -> Change:
    known = feature(name)
    kind: Kind = "refused" if status == "rejected" else "unknown" if status == "unknown" else "ignored"
    if name in MECHANICAL and kind != "unknown":
        kind = "rewritten"
    return Change(
        feature=name,
        status=status,
        kind=kind,
        requests=requests,
        means=known.means,
        instead=known.instead,
        waiver=waiver,
        replay=_replay(name, kind, waiver),
    )


def _replay(name: str, kind: Kind, waiver: str) -> Replay:
    if name in UNSENT:
        return "left out"
    if kind == "rewritten" and name in REWRITES:
        return "rewritten"
    # Clients that can do without it will not send it: with it, the fleet would answer nothing but errors.
    return "left out" if kind == "refused" and waiver and is_field(name) else "unchanged"
