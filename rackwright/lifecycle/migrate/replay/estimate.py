"""What a replay will ask and what that may cost, for the operator who agrees to it."""

from __future__ import annotations

from rackwright.lifecycle.migrate.replay.prepare import Prepared
from rackwright.migrate.plan.plan import Plan
from rackwright.report.words import counted


def estimate(plan: Plan, prepared: Prepared) -> tuple[str, ...]:
    """Return what will be asked and what it may cost, for the operator."""
    pending, currency = prepared.pending, plan.currency
    asks = sum(map(prepared.asks, pending))
    spent = prepared.spent + prepared.otherwise
    left = max(0.0, plan.replay.budget - spent)
    sample = f"{len(prepared.sample.drawn)} of {prepared.sample.recorded} recorded requests"
    lines = [
        f"sample: {sample}; for {len(pending)} of them, an answer is missing",
        f"the cloud {plan.cloud}: {counted(asks, 'request')}, probably {prepared.usual():.2f} {currency}, at most "
        f"{min(prepared.most(), left):.2f} {currency}",
        f"budget: {spent:.2f} of {plan.replay.budget:.2f} {currency} are spent",
    ]
    if prepared.interrupted:
        lines.append(
            f"an earlier replay was interrupted: {prepared.interrupted:.2f} {currency} count as spent, the most that "
            "its unanswered requests may have cost"
        )
    if plan.replay.hours:
        lines.append(f"hours: {', '.join(map(str, plan.replay.hours))}")
    lines += [f"left out: {count} ({why})" for why, count in prepared.sample.left_out.items()]
    return tuple(lines)
