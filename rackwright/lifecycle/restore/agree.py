"""What an operator must agree to before a restore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rackwright.errors import RackwrightError, UsageError
from rackwright.lifecycle.restore.asked import Asked
from rackwright.lifecycle.restore.key_copies import MergedKeys
from rackwright.lifecycle.restore.plan import HostPlan, RestorePlan
from rackwright.lifecycle.session.console import Console


def agree(planned: RestorePlan, asked: Asked, console: Console) -> None:
    """Return when the operator has agreed to the plan, and to everything in it that --yes doesn't answer.

    Raise UsageError if there is nothing to restore, RackwrightError if they don't agree.
    """
    plans = planned.hosts
    if planned.empty:
        raise UsageError("these snapshots have nothing to restore", next="rackwright backup show HOST")
    console.confirm(f"Restore {', '.join(plan.host for plan in plans)}?")
    for plan in (plan for plan in plans if plan.chosen.doubts):
        _agree_to_doubts(plan, console)
    if planned.without:
        _agree_to_losses(planned.without, console)
    if planned.keys:
        _agree_to_keys(planned.keys, asked, console)
    for plan in (plan for plan in plans if plan.host not in asked.serving):
        agree_to_serving(plan.host, plan.serving, console)


def agree_to_serving(host: str, units: Sequence[str], console: Console) -> None:
    """Return when the operator has typed the name of a host that serves."""
    if units:
        console.confirm_by_name(
            f"{host} serves now: {', '.join(units)}.",
            host,
            refusal=RackwrightError(
                "this host serves now",
                where=host,
                should="drain it first, or agree to change it while it serves",
                next=f"the same command with --serving {host}",
                listed=units,
            ),
        )


def _agree_to_losses(without: Mapping[str, str], console: Console) -> None:
    """Return when the operator agrees that hosts start without their old state. --yes doesn't answer it."""
    console.confirm(
        f"Should {', '.join(without)} start without the old state?",
        refusal=RackwrightError(
            "these hosts have no snapshot that can be restored",
            should="an operator at a terminal should agree to it, without --yes",
            next="restore the others by name, then rackwright apply and rackwright verify",
            listed=(f"{host}: {why}" for host, why in without.items()),
        ),
    )


def _agree_to_keys(keys: MergedKeys, asked: Asked, console: Console) -> None:
    """Return when the operator agrees to keys that this copy lacks, or that a place could not be asked about.

    Who can write to a gateway's repository can add a key there. A place that can't be read may be the only one that
    knows about a revocation.
    """
    listed = [*(f"adds {key.id} of {key.owner}" for key in keys.added), *(f"not read: {why}" for why in keys.missed)]
    if listed and not asked.accept_keys:
        console.confirm(
            "Should these keys be valid?",
            refusal=RackwrightError(
                "the merged API keys need an operator who looks at them",
                should="agree to them, or restore without keys: --what state,models",
                next="the same command with --accept-keys",
                listed=listed,
            ),
        )


def _agree_to_doubts(plan: HostPlan, console: Console) -> None:
    """Return when a person agrees to a snapshot that was asked for by its ID and may not be honest; --yes doesn't."""
    chosen = plan.chosen
    console.confirm(
        f"{plan.host}: this snapshot {'; it '.join(chosen.doubts)}. Restore it all the same?",
        refusal=RackwrightError(
            "this snapshot may not be honest",
            where=f"{plan.host}: {chosen.snapshot.id[:8]}",
            should="an operator at a terminal should look at it and agree, without --yes",
            next=f"rackwright backup list {plan.host}",
            listed=chosen.doubts,
        ),
    )
