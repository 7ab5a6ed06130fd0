"""Whether every request that a gateway accepted since the cutover began is accounted for."""

from __future__ import annotations

from rackwright.errors import HostError
from rackwright.gateway.whole_ledger import Ledger
from rackwright.migrate.review.promises import Finding


def of_ledger(found: Ledger | HostError) -> Finding:
    """Return it: the residual should be 0."""
    known = Finding(
        promise="ledger",
        of="residual",
        unit="requests",
        promised=0,
        limit=0,
        state="not measured",
        why="",
        next="rackwright migrate ledger",
    )
    if isinstance(found, HostError):
        return known.model_copy(update={"why": _said(found)})
    if found.unasked:
        return known.model_copy(update={"why": "; ".join(_said(one) for one in found.unasked.values())})
    lost = sum(max(line.residual.low, -line.residual.high) for line in found.residuals if line.residual)
    accepted = sum(line.sums.accepted for line in found.lines)
    why = f"of {accepted:,} that the gateways accepted for all models with a cloud"
    if lost:
        return known.model_copy(update={"measured": lost, "state": "broken", "why": why})
    if found.unsettled:
        return known.model_copy(update={"measured": 0, "state": "open", "why": f"{why}; some aren't settled yet"})
    return known.model_copy(update={"measured": 0, "state": "kept", "why": why, "next": ""})


def _said(error: HostError) -> str:
    return f"{error.problems[0].where}: {error.problems[0].what}"
